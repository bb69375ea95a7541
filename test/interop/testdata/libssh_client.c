/* Does one thing with libssh, for the table of clients. Anything unexpected ends the program.
 *
 * libssh_client HOST PORT USER KEY-FILE|"" PASSWORD|"" KNOWN-HOSTS OPERATION [ARGUMENT...]
 */
#include <fcntl.h>
#include <libssh/libssh.h>
#include <libssh/sftp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

static ssh_session session;
static sftp_session sftp;

static void die(const char *what)
{
	fprintf(stderr, "%s: %s (SFTP status %d)\n", what, session ? ssh_get_error(session) : "", sftp ? sftp_get_error(sftp) : -1);
	exit(1);
}

static void must(int rc, const char *what)
{
	if (rc < 0)
		die(what);
}

static void refused(int rc, const char *what)
{
	if (rc >= 0)
		die(what);
	printf("refused %s\n", what);
}

static sftp_file opened(const char *path, int flags)
{
	sftp_file f = sftp_open(sftp, path, flags, 0644);
	if (f == NULL)
		die(path);
	return f;
}

/* Uploads a local file from the offset start, to the offset at of the remote file. */
static void put_from(const char *from, const char *to, int flags, off_t start, uint64_t at)
{
	static char block[32768];
	int in = open(from, O_RDONLY);
	sftp_file f = opened(to, flags);
	ssize_t n;
	must(in, from);
	must(lseek(in, start, SEEK_SET) < 0 ? -1 : 0, from);
	must(sftp_seek64(f, at), to);
	while ((n = read(in, block, sizeof block)) > 0)
		if (sftp_write(f, block, (size_t)n) != n)
			die(to);
	must((int)n, from);
	must(sftp_close(f), to);
	close(in);
}

static void put(const char *from, const char *to)
{
	put_from(from, to, O_WRONLY | O_CREAT | O_TRUNC, 0, 0);
}

/* Keeps a window of reads in flight, as the documentation of libssh recommends. */
static void get_from(const char *from, const char *to, int flags, uint64_t at)
{
	enum { window = 16 };
	static char block[32768];
	int ids[window], begun = 0, done = 0, eof = 0;
	sftp_file f = opened(from, O_RDONLY);
	int out = open(to, O_WRONLY | O_CREAT | flags, 0644);
	must(out, to);
	must(sftp_seek64(f, at), from);
	while (!eof || done < begun) {
		while (!eof && begun - done < window) {
			must(ids[begun % window] = sftp_async_read_begin(f, sizeof block), from);
			begun++;
		}
		int n = sftp_async_read(f, block, sizeof block, (uint32_t)ids[done % window]);
		done++;
		must(n, from);
		if (n == 0)
			eof = 1;
		else if (write(out, block, (size_t)n) != n)
			die(to);
	}
	must(sftp_close(f), from);
	must(close(out), to);
}

static void get(const char *from, const char *to)
{
	get_from(from, to, O_TRUNC, 0);
}

static sftp_attributes attributes(const char *path)
{
	sftp_attributes st = sftp_stat(sftp, path);
	if (st == NULL)
		die(path);
	return st;
}

static void put_kept(const char *from, const char *to)
{
	struct stat st;
	put(from, to);
	must(stat(from, &st), from);
	struct timeval times[2] = {{st.st_atime, 0}, {st.st_mtime, 0}};
	must(sftp_chmod(sftp, to, st.st_mode & 07777), to);
	must(sftp_utimes(sftp, to, times), to);
}

static void get_kept(const char *from, const char *to)
{
	get(from, to);
	sftp_attributes st = attributes(from);
	struct timeval times[2] = {{st->atime, 0}, {st->mtime, 0}};
	must(chmod(to, st->permissions & 07777), to);
	must(utimes(to, times), to);
}

static void put_rest(const char *from, const char *to)
{
	uint64_t size = attributes(to)->size;
	put_from(from, to, O_WRONLY, (off_t)size, size);
}

static void get_rest(const char *from, const char *to)
{
	struct stat st;
	must(stat(to, &st), to);
	get_from(from, to, O_APPEND, (uint64_t)st.st_size);
}

static void append(const char *from, const char *to)
{
	put_from(from, to, O_WRONLY | O_APPEND, 0, attributes(to)->size);
}

static void list(const char *path)
{
	sftp_dir dir = sftp_opendir(sftp, path);
	sftp_attributes entry;
	if (dir == NULL)
		die(path);
	while ((entry = sftp_readdir(sftp, dir)) != NULL) {
		if (strcmp(entry->name, ".") != 0 && strcmp(entry->name, "..") != 0)
			puts(entry->name);
		sftp_attributes_free(entry);
	}
	if (!sftp_dir_eof(dir))
		die(path);
	must(sftp_closedir(dir), path);
}

static void everything(const char *big, uid_t uid, gid_t gid)
{
	struct timeval times[2] = {{981158400, 0}, {981158401, 0}};
	must(sftp_mkdir(sftp, "/d", 0755), "mkdir");
	must(sftp_mkdir(sftp, "/d/sub", 0755), "mkdir");
	must(sftp_rmdir(sftp, "/d/sub"), "rmdir");
	put(big, "/d/file");
	must(sftp_chmod(sftp, "/d/file", 0604), "chmod");
	must(sftp_utimes(sftp, "/d/file", times), "utimes");
	/* As in chown(2), -1 leaves an ID as it is. */
	must(sftp_chown(sftp, "/d/file", uid, (gid_t)-1), "chown");
	must(sftp_chown(sftp, "/d/file", (uid_t)-1, gid), "chgrp");
	sftp_attributes st = attributes("/d/file");
	printf("stat %llu %o %u\n", (unsigned long long)st->size, st->permissions & 07777, st->mtime);
	must(sftp_symlink(sftp, "file", "/d/link"), "symlink");
	char *target = sftp_readlink(sftp, "/d/link");
	if (target == NULL)
		die("readlink");
	printf("readlink %s\n", target);
	if ((st = sftp_lstat(sftp, "/d/link")) == NULL)
		die("lstat");
	printf("lstat %o\n", st->permissions & 0170000);
	put(big, "/d/cut");
	struct sftp_attributes_struct size = {.flags = SSH_FILEXFER_ATTR_SIZE, .size = 5};
	must(sftp_setstat(sftp, "/d/cut", &size), "truncate");
	put(big, "/d/gone");
	must(sftp_unlink(sftp, "/d/gone"), "unlink");
	refused(sftp_rmdir(sftp, "/d"), "rmdir");
	refused(sftp_mkdir(sftp, "/d", 0755), "mkdir");
	refused(sftp_stat(sftp, "/d/gone") == NULL ? -1 : 0, "stat");
	must(sftp_rename(sftp, "/d/file", "/d/new"), "rename");
	char *path = sftp_canonicalize_path(sftp, "/d/../d/new");
	if (path == NULL)
		die("realpath");
	printf("realpath %s\n", path);
}

static void log_in(char **argv)
{
	int strict = 1, nodelay = 1;
	unsigned int port = (unsigned int)atoi(argv[2]);
	ssh_key key;
	if ((session = ssh_new()) == NULL)
		die("ssh_new");
	ssh_options_set(session, SSH_OPTIONS_HOST, argv[1]);
	ssh_options_set(session, SSH_OPTIONS_PORT, &port);
	ssh_options_set(session, SSH_OPTIONS_USER, argv[3]);
	ssh_options_set(session, SSH_OPTIONS_KNOWNHOSTS, argv[6]);
	ssh_options_set(session, SSH_OPTIONS_GLOBAL_KNOWNHOSTS, "/dev/null");
	ssh_options_set(session, SSH_OPTIONS_STRICTHOSTKEYCHECK, &strict);
	/* Nagle's algorithm costs 40 ms for each request that waits for its answer. */
	ssh_options_set(session, SSH_OPTIONS_NODELAY, &nodelay);
	must(ssh_connect(session), "connect");
	if (ssh_session_is_known_server(session) != SSH_KNOWN_HOSTS_OK)
		die("another host key");
	if (argv[4][0] != '\0') {
		must(ssh_pki_import_privkey_file(argv[4], NULL, NULL, NULL, &key), "key");
		if (ssh_userauth_publickey(session, NULL, key) != SSH_AUTH_SUCCESS)
			die("login");
	} else if (ssh_userauth_password(session, NULL, argv[5]) != SSH_AUTH_SUCCESS)
		die("login");
	if ((sftp = sftp_new(session)) == NULL)
		die("sftp_new");
	must(sftp_init(sftp), "sftp_init");
}

static const struct {
	const char *name;
	void (*copy)(const char *, const char *);
} copies[] = {
	{"put", put}, {"get", get}, {"put-kept", put_kept}, {"get-kept", get_kept},
	{"put-rest", put_rest}, {"get-rest", get_rest}, {"append", append},
};

static int run(const char *operation, int argc, char **argv)
{
	for (size_t i = 0; i < sizeof copies / sizeof copies[0]; i++)
		if (strcmp(operation, copies[i].name) == 0) {
			for (int at = 0; at + 1 < argc; at += 2)
				copies[i].copy(argv[at], argv[at + 1]);
			return 1;
		}
	if (strcmp(operation, "list") == 0) {
		list(argv[0]);
	} else if (strcmp(operation, "rename") == 0) {
		must(sftp_rename(sftp, argv[0], argv[1]), "rename");
	} else if (strcmp(operation, "symlink") == 0) {
		must(sftp_symlink(sftp, argv[0], argv[1]), "symlink");
	} else if (strcmp(operation, "session") == 0) {
		everything(argv[0], (uid_t)atol(argv[1]), (gid_t)atol(argv[2]));
	} else if (strcmp(operation, "space") == 0) {
		sftp_statvfs_t st = sftp_statvfs(sftp, "/");
		if (st == NULL)
			die("statvfs");
		printf("%llu\n", (unsigned long long)(st->f_frsize * st->f_blocks));
	} else {
		return 0;
	}
	return 1;
}

int main(int argc, char **argv)
{
	if (argc < 8)
		return 2;
	log_in(argv);
	if (!run(argv[7], argc - 8, argv + 8))
		die(argv[7]);
	sftp_free(sftp);
	ssh_disconnect(session);
	ssh_free(session);
	return 0;
}
