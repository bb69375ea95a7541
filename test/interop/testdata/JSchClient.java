import com.jcraft.jsch.ChannelSftp;
import com.jcraft.jsch.JSch;
import com.jcraft.jsch.Session;
import com.jcraft.jsch.SftpATTRS;
import com.jcraft.jsch.SftpException;
import com.jcraft.jsch.SftpStatVFS;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.nio.file.attribute.PosixFilePermission;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;
import java.util.Vector;

/**
 * Does one thing with JSch, for the table of clients. Anything unexpected throws an exception.
 *
 * <p>JSchClient HOST PORT USER KEY-FILE|"" PASSWORD|"" KNOWN-HOSTS OPERATION [ARGUMENT...]
 */
final class JSchClient {
  private final Session session;
  private final ChannelSftp sftp;
  private final String[] arguments;
  private final PrintStream out = new PrintStream(System.out, true, StandardCharsets.UTF_8);

  private interface Copy {
    void copy(String from, String to) throws Exception;
  }

  private interface Action {
    void run() throws Exception;
  }

  private JSchClient(Session session, String[] arguments) throws Exception {
    this.session = session;
    this.arguments = arguments;
    this.sftp = open();
  }

  private ChannelSftp open() throws Exception {
    ChannelSftp channel = (ChannelSftp) session.openChannel("sftp");
    channel.connect(60000);
    return channel;
  }

  public static void main(String[] args) throws Exception {
    JSch jsch = new JSch();
    jsch.setKnownHosts(args[5]);
    if (!args[3].isEmpty()) {
      jsch.addIdentity(args[3]);
    }
    Session session = jsch.getSession(args[2], args[0], Integer.parseInt(args[1]));
    session.setConfig("StrictHostKeyChecking", "yes");
    session.setConfig("PreferredAuthentications", args[3].isEmpty() ? "password,keyboard-interactive" : "publickey");
    session.setPassword(args[4]);
    session.setTimeout(60000);
    session.connect();
    try {
      new JSchClient(session, java.util.Arrays.copyOfRange(args, 7, args.length)).run(args[6]);
    } finally {
      session.disconnect();
    }
  }

  /** Quotes a name, in which JSch takes *, ? and \ for a pattern on both sides. */
  private static String quote(String name) {
    return name.replaceAll("([*?\\\\])", "\\\\$1");
  }

  private void each(Copy copy) throws Exception {
    for (int i = 0; i + 1 < arguments.length; i += 2) {
      copy.copy(arguments[i], arguments[i + 1]);
    }
  }

  /** Copies all at the same time, with a channel each in one connection. */
  private void atOnce(boolean put) throws Exception {
    List<Thread> threads = new ArrayList<>();
    List<Throwable> errors = java.util.Collections.synchronizedList(new ArrayList<>());
    each((from, to) -> {
      ChannelSftp channel = open();
      threads.add(new Thread(() -> {
        try {
          if (put) {
            channel.put(from, to);
          } else {
            channel.get(from, to);
          }
        } catch (Exception e) {
          errors.add(e);
        }
      }));
    });
    threads.forEach(Thread::start);
    for (Thread thread : threads) {
      thread.join();
    }
    if (!errors.isEmpty()) {
      throw new Exception(errors.get(0));
    }
  }

  private static int mode(Path file) throws Exception {
    int mode = 0;
    for (PosixFilePermission p : Files.getPosixFilePermissions(file)) {
      mode |= 0400 >> p.ordinal();
    }
    return mode;
  }

  private void putKept(String from, String to) throws Exception {
    sftp.put(from, to);
    sftp.chmod(mode(Path.of(from)), to);
    sftp.setMtime(to, (int) Files.getLastModifiedTime(Path.of(from)).toInstant().getEpochSecond());
  }

  private void getKept(String from, String to) throws Exception {
    sftp.get(from, to);
    SftpATTRS st = sftp.stat(from);
    Set<PosixFilePermission> mode = EnumSet.noneOf(PosixFilePermission.class);
    for (PosixFilePermission p : PosixFilePermission.values()) {
      if ((st.getPermissions() & 0400 >> p.ordinal()) != 0) {
        mode.add(p);
      }
    }
    Files.setPosixFilePermissions(Path.of(to), mode);
    Files.setLastModifiedTime(Path.of(to), FileTime.fromMillis(st.getMTime() * 1000L));
  }

  private void list(String directory) throws Exception {
    Vector<?> entries = sftp.ls(directory);
    for (Object entry : entries) {
      String name = ((ChannelSftp.LsEntry) entry).getFilename();
      if (!name.equals(".") && !name.equals("..")) {
        out.println(name);
      }
    }
  }

  private void refused(String what, Action action) throws Exception {
    try {
      action.run();
    } catch (SftpException e) {
      out.println("refused " + what);
      return;
    }
    throw new Exception(what + " was not refused");
  }

  private void everything(String big, int uid, int gid) throws Exception {
    sftp.mkdir("/d");
    sftp.mkdir("/d/sub");
    sftp.rmdir("/d/sub");
    sftp.put(big, "/d/file");
    sftp.chmod(0604, "/d/file");
    sftp.setMtime("/d/file", 981158401);
    // Each requests the other ID first, and sends it along.
    sftp.chown(uid, "/d/file");
    sftp.chgrp(gid, "/d/file");
    // The other ID stays as it is.
    SftpATTRS only = sftp.stat("/d/file");
    only.setUIDGID(uid, -1);
    sftp.setStat("/d/file", only);
    SftpATTRS st = sftp.stat("/d/file");
    out.println("stat " + st.getSize() + " " + Integer.toOctalString(st.getPermissions() & 07777) + " " + st.getMTime());
    sftp.symlink("file", "/d/link");
    out.println("readlink " + sftp.readlink("/d/link"));
    out.println("lstat " + Integer.toOctalString(sftp.lstat("/d/link").getPermissions() & 0170000));
    // It cannot set a size.
    sftp.put(new java.io.ByteArrayInputStream(Files.readAllBytes(Path.of(big)), 0, 5), "/d/cut");
    sftp.put(big, "/d/gone");
    sftp.rm("/d/gone");
    refused("rmdir", () -> sftp.rmdir("/d"));
    refused("mkdir", () -> sftp.mkdir("/d"));
    refused("stat", () -> sftp.stat("/d/gone"));
    sftp.rename("/d/file", "/d/new");
    sftp.cd("/d");
    out.println("realpath " + sftp.realpath("../d/new"));
  }

  private void run(String operation) throws Exception {
    switch (operation) {
      case "put" -> each((from, to) -> sftp.put(quote(from), quote(to)));
      case "get" -> each((from, to) -> sftp.get(quote(from), quote(to)));
      case "put-at-once" -> atOnce(true);
      case "get-at-once" -> atOnce(false);
      case "put-kept" -> each(this::putKept);
      case "get-kept" -> each(this::getKept);
      case "put-rest" -> each((from, to) -> sftp.put(from, to, ChannelSftp.RESUME));
      case "get-rest" -> each((from, to) -> sftp.get(from, to, null, ChannelSftp.RESUME));
      case "append" -> each((from, to) -> sftp.put(from, to, ChannelSftp.APPEND));
      case "rename", "posix_rename" -> sftp.rename(arguments[0], arguments[1]);
      case "list" -> list(arguments[0]);
      case "space" -> {
        SftpStatVFS st = sftp.statVFS("/");
        out.println(st.getFragmentSize() * st.getBlocks());
      }
      case "symlink" -> sftp.symlink(arguments[0], arguments[1]);
      case "session" -> everything(arguments[0], Integer.parseInt(arguments[1]), Integer.parseInt(arguments[2]));
      default -> throw new Exception("no operation " + operation);
    }
  }
}
