# Does one thing with net-sftp, for the table of clients. Anything unexpected raises an exception.
#
# netsftp_client.rb HOST PORT USER KEY-FILE|"" PASSWORD|"" KNOWN-HOSTS OPERATION [ARGUMENT...]
require "net/sftp"
require "stringio"

HOST, PORT, USER, KEY, PASSWORD, KNOWN, OPERATION, *rest = ARGV
# Names on the server are bytes, in whatever encoding.
ARGUMENTS = rest.map(&:b)
PAIRS = ARGUMENTS.each_slice(2).to_a

options = {
  port: PORT.to_i, user_known_hosts_file: KNOWN, global_known_hosts_file: "/dev/null", verify_host_key: :always,
  config: false, use_agent: false, non_interactive: true, keys_only: true, timeout: 60,
}
if KEY.empty?
  options.merge!(password: PASSWORD, auth_methods: %w[password keyboard-interactive])
else
  options.merge!(keys: [KEY], auth_methods: %w[publickey])
end

def refused(what)
  yield
rescue Net::SFTP::StatusException
  puts "refused #{what}"
else
  raise "#{what} was not refused"
end

def session(sftp, big, uid, gid)
  sftp.mkdir!("/d")
  sftp.mkdir!("/d/sub")
  sftp.rmdir!("/d/sub")
  sftp.upload!(big, "/d/file")
  sftp.setstat!("/d/file", permissions: 0o604)
  sftp.setstat!("/d/file", atime: 981158400, mtime: 981158401)
  # The other ID stays as it is.
  sftp.setstat!("/d/file", uid: uid, gid: 0xFFFFFFFF)
  sftp.setstat!("/d/file", uid: 0xFFFFFFFF, gid: gid)
  st = sftp.stat!("/d/file")
  puts format("stat %d %o %d", st.size, st.permissions & 0o7777, st.mtime)
  # net-sftp calls its arguments path and target, and sends them in that order, which every server treats as target and
  # path, and so do its users.
  sftp.symlink!("file", "/d/link")
  puts "readlink #{sftp.readlink!("/d/link").name}"
  puts format("lstat %o", sftp.lstat!("/d/link").permissions & 0o170000)
  sftp.upload!(big, "/d/cut")
  sftp.setstat!("/d/cut", size: 5)
  sftp.upload!(StringIO.new("gone"), "/d/gone")
  sftp.remove!("/d/gone")
  refused("rmdir") { sftp.rmdir!("/d") }
  refused("mkdir") { sftp.mkdir!("/d") }
  refused("stat") { sftp.stat!("/d/gone") }
  sftp.rename!("/d/file", "/d/new")
  puts "realpath #{sftp.realpath!("/d/../d/new").name}"
end

OPERATIONS = {
  "put" => ->(sftp) { PAIRS.each { |from, to| sftp.upload!(from, to) } },
  "get" => ->(sftp) { PAIRS.each { |from, to| sftp.download!(from, to) } },
  "put-at-once" => ->(sftp) { PAIRS.map { |from, to| sftp.upload(from, to) }.each(&:wait) },
  "get-at-once" => ->(sftp) { PAIRS.map { |from, to| sftp.download(from, to) }.each(&:wait) },
  "put-tree" => ->(sftp) { PAIRS.each { |from, to| sftp.upload!(from, to, mkdir: true) } },
  "get-tree" => ->(sftp) { PAIRS.each { |from, to| sftp.download!(from, to, recursive: true) } },
  "put-kept" => lambda do |sftp|
    PAIRS.each do |from, to|
      st = File.stat(from)
      sftp.upload!(from, to)
      sftp.setstat!(to, permissions: st.mode & 0o7777, atime: st.atime.to_i, mtime: st.mtime.to_i)
    end
  end,
  "get-kept" => lambda do |sftp|
    PAIRS.each do |from, to|
      sftp.download!(from, to)
      st = sftp.stat!(from)
      File.chmod(st.permissions & 0o7777, to)
      File.utime(st.atime, st.mtime, to)
    end
  end,
  "put-rest" => lambda do |sftp|
    PAIRS.each do |from, to|
      at = sftp.stat!(to).size
      handle = sftp.open!(to, "r+")
      write_from(sftp, handle, at, File.binread(from).byteslice(at..))
      sftp.close!(handle)
    end
  end,
  "get-rest" => lambda do |sftp|
    PAIRS.each do |from, to|
      handle = sftp.open!(from, "r")
      File.open(to, "ab") do |f|
        at = f.size
        while (block = sftp.read!(handle, at, 32_000))
          f.write(block)
          at += block.bytesize
        end
      end
      sftp.close!(handle)
    end
  end,
  "append" => lambda do |sftp|
    PAIRS.each do |from, to|
      handle = sftp.open!(to, "a")
      write_from(sftp, handle, 0, File.binread(from))
      sftp.close!(handle)
    end
  end,
  "rename" => ->(sftp) { sftp.rename!(*ARGUMENTS) },
  "list" => ->(sftp) { sftp.dir.foreach(ARGUMENTS[0]) { |e| puts e.name unless %w[. ..].include?(e.name) } },
  # As documented: the path, then the target.
  "symlink" => ->(sftp) { sftp.symlink!(ARGUMENTS[1], ARGUMENTS[0]) },
  "session" => ->(sftp) { session(sftp, ARGUMENTS[0], Integer(ARGUMENTS[1]), Integer(ARGUMENTS[2])) },
}.freeze

def write_from(sftp, handle, at, data)
  until data.empty?
    block = data.slice!(0, 32_000)
    sftp.write!(handle, at, block)
    at += block.bytesize
  end
end

Net::SFTP.start(HOST, USER, options) { |sftp| OPERATIONS.fetch(OPERATION).call(sftp) }
