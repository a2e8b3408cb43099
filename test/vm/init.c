/*
 * The first process of a guest in which `megapipe vm` runs one command.
 *
 * The guest's root is the host's, read-only over 9p, under a tmpfs that takes
 * what is written. What to do (the job) comes through the virtio port
 * "control", and what became of it leaves there, at last, where all went well,
 * a word that only this start of the guest knows. The command's output has
 * ports of its own, so that nothing the kernel says on its console mixes with
 * it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <dirent.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define MAX_WORDS 4096
#define MAX_FOLDERS 64
#define ROOT "/root"
#define HOST "/host"
#define KMEMLEAK "/sys/kernel/debug/kmemleak"

/* A stream of the command, on its way to the host. */
struct stream {
	const char *port_name;
	int port;
	int pipe[2];
	uint64_t bytes;
};

struct job {
	const char *cwd;
	const char *module;
	const char *module_name;
	const char *module_parameters;
	const char *modules_folder;
	bool has_stdin;
	char *arguments[MAX_WORDS];
	char *environment[MAX_WORDS];
	const char *writable[MAX_FOLDERS];
	const char *kept;
	size_t nr_arguments, nr_environment, nr_writable;
};

static struct stream out = { .port_name = "stdout", .port = -1 };
static struct stream err = { .port_name = "stderr", .port = -1 };
static int control = -1;
static struct job job;

/* End the guest: what qemu was started with makes it exit. */
static _Noreturn void power_off(void)
{
	sync();
	reboot(RB_AUTOBOOT);
	for (;;)
		pause();
}

/* Tell the host one line. */
static void say(const char *format, ...)
{
	char line[1024];
	va_list values;
	int length;

	va_start(values, format);
	length = vsnprintf(line, sizeof(line) - 1, format, values);
	va_end(values);
	if (length < 0)
		return;
	if ((size_t)length > sizeof(line) - 2)
		length = sizeof(line) - 2;
	line[length++] = '\n';
	if (write(control < 0 ? STDERR_FILENO : control, line, length) !=
	    length)
		dprintf(STDERR_FILENO, "init: cannot say: %s", line);
}

/* Wait until the host has read everything: it says so in one line. */
static void await_host(void)
{
	char byte = 0;

	while (byte != '\n' && read(control, &byte, 1) == 1)
		;
}

/* Not even the command could be run, or what had to follow it. */
static _Noreturn void fail(const char *what, int error)
{
	dprintf(STDERR_FILENO, "init: cannot %s: %s\n", what, strerror(error));
	if (control >= 0) {
		say("failed cannot %s: %s", what, strerror(error));
		await_host();
	}
	power_off();
}

static _Noreturn void fail_with(const char *what, const char *which)
{
	int error = errno;
	char text[512];

	snprintf(text, sizeof(text), "%s %s", what, which);
	fail(text, error);
}

/* Make a folder and those above it. */
static void make_folder(const char *path)
{
	char copy[4096], *slash;

	snprintf(copy, sizeof(copy), "%s", path);
	for (slash = strchr(copy + 1, '/'); slash;
	     slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		mkdir(copy, 0755);
		*slash = '/';
	}
	if (mkdir(copy, 0755) && errno != EEXIST)
		fail_with("make folder", path);
}

static void mount_at(const char *type, const char *source, const char *target,
		     unsigned long flags, const char *options)
{
	make_folder(target);
	if (mount(source, target, type, flags, options))
		fail_with("mount", target);
}

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		fail_with("write", path);
	close(fd);
}

/* Returns the contents, to be kept for good, with a NUL after them. */
static char *read_file(const char *path, size_t *size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat status;
	ssize_t got;
	char *text;

	if (fd < 0 || fstat(fd, &status))
		fail_with("read", path);
	/* Files of /proc have no size. */
	*size = status.st_size ? (size_t)status.st_size : 65536;
	text = calloc(1, *size + 1);
	got = text ? read(fd, text, *size) : -1;
	if (got < 0)
		fail_with("read", path);
	*size = got;
	close(fd);
	return text;
}

static int load_module(const char *path, const char *parameters)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int error;

	if (fd < 0)
		return -errno;
	error = syscall(SYS_finit_module, fd, parameters, 0) ? -errno : 0;
	close(fd);
	return error;
}

/* What the guest needs and this kernel has as modules, in the order to load. */
static void load_drivers(void)
{
	char *list, *name, path[512];
	size_t size;
	int error;

	list = read_file("/modules/order", &size);
	for (name = strtok(list, "\n"); name; name = strtok(NULL, "\n")) {
		snprintf(path, sizeof(path), "/modules/%s", name);
		error = load_module(path, "");
		if (error && error != -EEXIST)
			fail(path, -error);
	}
	free(list);
}

/* Returns the value of the word `name=` of the kernel's command line. */
static const char *option(const char *name)
{
	static char *line;
	size_t size, length = strlen(name);
	char *word, *copy;

	if (!line)
		line = read_file("/proc/cmdline", &size);
	copy = strdup(line);
	for (word = strtok(copy, " \n"); word; word = strtok(NULL, " \n"))
		if (!strncmp(word, name, length) && word[length] == '=')
			return word + length + 1;
	return "";
}

/* Returns a port by the name that qemu gave it, or -ENOENT. */
static int try_port(const char *name)
{
	static const char ports[] = "/sys/class/virtio-ports";
	char path[1024], *found;
	struct dirent *entry;
	int fd = -ENOENT;
	size_t size;
	DIR *folder = opendir(ports);

	while (folder && fd == -ENOENT && (entry = readdir(folder))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s/name", ports,
			 entry->d_name);
		if (access(path, R_OK))
			continue;
		found = read_file(path, &size);
		found[strcspn(found, "\n")] = '\0';
		snprintf(path, sizeof(path), "/dev/%s", entry->d_name);
		if (!strcmp(found, name))
			fd = open(path, O_RDWR | O_CLOEXEC);
		free(found);
	}
	if (folder)
		closedir(folder);
	return fd;
}

/* The kernel learns of the ports by and by. */
static int open_port(const char *name)
{
	int fd, tries;

	for (tries = 0; tries < 5000; tries++) {
		fd = try_port(name);
		if (fd >= 0)
			return fd;
		usleep(2000);
	}
	errno = ENODEV;
	fail_with("open port", name);
}

static void mount_root(void)
{
	mount_at("9p", "root", HOST, MS_RDONLY,
		 "trans=virtio,version=9p2000.L,msize=512000,cache=loose,"
		 "access=any");
	mount_at("tmpfs", "overlay", "/overlay", 0, "mode=755,size=75%");
	make_folder("/overlay/upper");
	make_folder("/overlay/work");
	mount_at("overlay", "overlay", ROOT, 0,
		 "lowerdir=" HOST ",upperdir=/overlay/upper,"
		 "workdir=/overlay/work");
}

static void add_word(char **words, size_t *count, char *word)
{
	if (*count == MAX_WORDS - 1)
		fail("take so long a command", E2BIG);
	words[(*count)++] = word;
}

static void take_setting(const char *key, char *value)
{
	if (!strcmp(key, "argument"))
		add_word(job.arguments, &job.nr_arguments, value);
	else if (!strcmp(key, "environment"))
		add_word(job.environment, &job.nr_environment, value);
	else if (!strcmp(key, "cwd"))
		job.cwd = value;
	else if (!strcmp(key, "module"))
		job.module = value;
	else if (!strcmp(key, "module-name"))
		job.module_name = value;
	else if (!strcmp(key, "module-parameters"))
		job.module_parameters = value;
	else if (!strcmp(key, "modules-folder"))
		job.modules_folder = value;
	else if (!strcmp(key, "stdin"))
		job.has_stdin = true;
	else if (!strcmp(key, "kept"))
		job.kept = value;
	else if (!strcmp(key, "writable") && job.nr_writable < MAX_FOLDERS)
		job.writable[job.nr_writable++] = value;
	else
		fail_with("understand setting", key);
}

/* Returns what the host sends: its length in a line, then so many bytes. */
static char *receive_job(size_t *size)
{
	char length[32] = "", *text;
	size_t at = 0;
	ssize_t got;

	while (at < sizeof(length) - 1 && read(control, length + at, 1) == 1 &&
	       length[at] != '\n')
		at++;
	*size = strtoul(length, NULL, 10);
	text = calloc(1, *size + 1);
	for (at = 0; text && at < *size; at += got) {
		got = read(control, text + at, *size - at);
		if (got <= 0)
			fail("receive the job", got ? errno : EPIPE);
	}
	if (!text || !*size)
		fail("receive the job", EINVAL);
	return text;
}

/* The job is pairs of a key and a value, each ended by a NUL. */
static void take_job(void)
{
	char *at, *end, *value;
	size_t size;

	at = receive_job(&size);
	for (end = at + size; at < end; at = value + strlen(value) + 1) {
		value = at + strlen(at) + 1;
		if (value >= end)
			fail("understand the job", EINVAL);
		take_setting(at, value);
	}
}

static void load_tested_module(void)
{
	char path[4096];
	int error;

	if (!job.module)
		return;
	/* From the host's files: the guest's /tmp is empty. */
	snprintf(path, sizeof(path), HOST "%s", job.module);
	error = load_module(path, job.module_parameters);
	if (error)
		fail("load the module", -error);
}

static void carry_mount(const char *from, const char *to)
{
	make_folder(to);
	if (mount(from, to, NULL, MS_MOVE, NULL))
		fail_with("move", from);
}

static void mount_writable(void)
{
	char path[4096], tag[32];
	size_t i;

	for (i = 0; i < job.nr_writable; i++) {
		snprintf(path, sizeof(path), ROOT "%s", job.writable[i]);
		snprintf(tag, sizeof(tag), "writable%zu", i);
		mount_at("9p", tag, path, 0,
			 "trans=virtio,version=9p2000.L,msize=512000,"
			 "cache=mmap,access=any");
	}
}

#define KEPT "/kept"

/* A folder that one of the guest's own file systems would hide. */
static void keep_folder(void)
{
	char path[4096];

	if (!job.kept)
		return;
	snprintf(path, sizeof(path), ROOT "%s", job.kept);
	make_folder(KEPT);
	if (mount(path, KEPT, NULL, MS_BIND, NULL))
		fail_with("keep", job.kept);
}

static void show_kept_folder(void)
{
	char path[4096];

	if (!job.kept)
		return;
	snprintf(path, sizeof(path), ROOT "%s", job.kept);
	carry_mount(KEPT, path);
}

/* The host's own file systems are not in what it exports: theirs is empty. */
static void mount_guest_file_systems(void)
{
	keep_folder();
	carry_mount("/dev", ROOT "/dev");
	carry_mount("/proc", ROOT "/proc");
	carry_mount("/sys", ROOT "/sys");
	mount_at("devpts", "devpts", ROOT "/dev/pts", 0,
		 "mode=620,ptmxmode=666");
	mount_at("tmpfs", "shm", ROOT "/dev/shm", 0, "mode=1777");
	mount_at("tmpfs", "run", ROOT "/run", 0, "mode=755");
	mount_at("tmpfs", "tmp", ROOT "/tmp", 0, "mode=1777");
	mount_at("cgroup2", "cgroup2", ROOT "/sys/fs/cgroup", 0, NULL);
	mount_at("debugfs", "debugfs", ROOT "/sys/kernel/debug", 0, NULL);
	show_kept_folder();
	mount_writable();
	if (!job.modules_folder)
		return;
	make_folder(ROOT "/lib/modules");
	mount_at("tmpfs", "modules", ROOT "/lib/modules", 0, "mode=755");
}

/* So that modprobe finds what the kernel's package has. */
static void show_modules(void)
{
	char link[512], release[256];
	size_t size;
	char *text;

	if (!job.modules_folder)
		return;
	text = read_file("/proc/sys/kernel/osrelease", &size);
	snprintf(release, sizeof(release), "%.*s", (int)strcspn(text, "\n"),
		 text);
	free(text);
	snprintf(link, sizeof(link), "/lib/modules/%s", release);
	if (symlink(job.modules_folder, link))
		fail_with("link", link);
}

static void enter_root(void)
{
	if (chdir(ROOT) || mount(".", "/", NULL, MS_MOVE, NULL) ||
	    chroot(".") || chdir("/"))
		fail("enter the root", errno);
}

static void start_loopback(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq request = { .ifr_name = "lo",
				 .ifr_flags = IFF_UP | IFF_RUNNING };

	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request))
		fail("start the loopback interface", errno);
	close(fd);
}

static void prepare_system(void)
{
	static const char name[] = "megapipe-guest";
	struct rlimit files = { 1048576, 1048576 };

	if (sethostname(name, sizeof(name) - 1))
		fail("set the host name", errno);
	if (setrlimit(RLIMIT_NOFILE, &files))
		fail("raise the limit of open files", errno);
	write_file("/sys/fs/cgroup/cgroup.subtree_control", "+memory");
	start_loopback();
	show_modules();
}

/* Hand the host's standard input on, in a process of its own. */
static int start_stdin(void)
{
	int port, pipe[2];
	char buffer[65536];
	ssize_t got;

	if (!job.has_stdin)
		return open("/dev/null", O_RDONLY | O_CLOEXEC);
	port = open_port("stdin");
	if (pipe2(pipe, O_CLOEXEC))
		fail("make a pipe", errno);
	if (fork()) {
		close(port);
		close(pipe[1]);
		return pipe[0];
	}
	close(pipe[0]);
	while ((got = read(port, buffer, sizeof(buffer))) > 0)
		if (write(pipe[1], buffer, got) != got)
			break;
	_exit(0);
}

static _Noreturn void become_command(int input)
{
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setsid();
	if (dup2(input, 0) < 0 || dup2(out.pipe[1], 1) < 0 ||
	    dup2(err.pipe[1], 2) < 0)
		_exit(126);
	if (chdir(job.cwd)) {
		dprintf(2, "megapipe: the guest has no folder %s: %s\n",
			job.cwd, strerror(errno));
		_exit(126);
	}
	environ = job.environment;
	execvp(job.arguments[0], job.arguments);
	dprintf(2, "megapipe: the guest cannot run %s: %s\n", job.arguments[0],
		strerror(errno));
	_exit(errno == ENOENT ? 127 : 126);
}

static pid_t start_command(void)
{
	int input = start_stdin();
	pid_t child;

	if (pipe2(out.pipe, O_CLOEXEC) || pipe2(err.pipe, O_CLOEXEC))
		fail("make a pipe", errno);
	child = fork();
	if (child < 0)
		fail("fork", errno);
	if (!child)
		become_command(input);
	close(input);
	close(out.pipe[1]);
	close(err.pipe[1]);
	return child;
}

/* Move what a stream has now to the host. Returns false at its end. */
static bool move_stream(struct stream *stream)
{
	static char buffer[65536];
	ssize_t done, wrote, got;

	got = read(stream->pipe[0], buffer, sizeof(buffer));
	for (done = 0; done < got; done += wrote) {
		wrote = write(stream->port, buffer + done, got - done);
		if (wrote < 0)
			fail_with("write to port", stream->port_name);
	}
	if (got > 0)
		stream->bytes += got;
	return got > 0;
}

/* Take leave of processes that ended. Returns true if the command did. */
static bool reap(pid_t command, int *status)
{
	bool ended = false;
	int each;
	pid_t pid;

	while ((pid = waitpid(-1, &each, WNOHANG)) > 0) {
		if (pid != command)
			continue;
		*status = each;
		ended = true;
	}
	return ended;
}

static int await_command(pid_t command, int children)
{
	struct pollfd wait[] = {
		{ .fd = children, .events = POLLIN },
		{ .fd = out.pipe[0], .events = POLLIN },
		{ .fd = err.pipe[0], .events = POLLIN },
	};
	struct signalfd_siginfo info;
	int status = 0;

	for (;;) {
		if (poll(wait, 3, -1) < 0)
			fail("wait for the command", errno);
		if (wait[1].revents && !move_stream(&out))
			wait[1].fd = -1;
		if (wait[2].revents && !move_stream(&err))
			wait[2].fd = -1;
		if (wait[0].revents && read(children, &info, sizeof(info)) &&
		    reap(command, &status))
			return status;
	}
}

static void copy_to_console(const char *path)
{
	char buffer[4096];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got;

	if (fd < 0)
		fail_with("read", path);
	while ((got = read(fd, buffer, sizeof(buffer))) > 0)
		if (write(STDERR_FILENO, buffer, got) != got)
			break;
	close(fd);
}

/*
 * A kernel made for debugging finds memory that nothing points to. It says so
 * on its console, in its log as the host sees it. The word kmemleak=off on its
 * command line saves the time.
 */
static void look_for_leaks(void)
{
	if (access(KMEMLEAK, F_OK) || !strcmp(option("kmemleak"), "off"))
		return;
	/* Only what is older than five seconds counts, and only if it didn't
	 * change since it was looked at before. */
	sleep(6);
	write_file(KMEMLEAK, "scan");
	write_file(KMEMLEAK, "scan");
	copy_to_console(KMEMLEAK);
}

/* What the command left running would keep the module and the pipes in use. */
static void end_others(void)
{
	kill(-1, SIGKILL);
	while (waitpid(-1, NULL, 0) > 0)
		;
	while (move_stream(&out))
		;
	while (move_stream(&err))
		;
}

static void remove_tested_module(void)
{
	int tries;

	/* The kernel may finish closing what a process had open a bit later. */
	for (tries = 0; tries < 500; tries++) {
		if (!syscall(SYS_delete_module, job.module_name, O_NONBLOCK))
			return;
		if (errno != EAGAIN && errno != EBUSY && errno != EWOULDBLOCK)
			break;
		usleep(10000);
	}
	fail("remove the module after the command", errno);
}

static void unmount_writable(void)
{
	while (job.nr_writable) {
		const char *folder = job.writable[--job.nr_writable];

		if (umount2(folder, 0))
			fail_with("unmount", folder);
	}
}

static void report(int status)
{
	if (WIFSIGNALED(status))
		say("signal %d", WTERMSIG(status));
	else
		say("exit %d", WEXITSTATUS(status));
	say("bytes %llu %llu", (unsigned long long)out.bytes,
	    (unsigned long long)err.bytes);
	say("done %s", option("megapipe.nonce"));
	await_host();
}

static int block_children(void)
{
	sigset_t children;
	int fd;

	sigemptyset(&children);
	sigaddset(&children, SIGCHLD);
	sigprocmask(SIG_BLOCK, &children, NULL);
	fd = signalfd(-1, &children, SFD_CLOEXEC);
	if (fd < 0)
		fail("watch for processes that end", errno);
	return fd;
}

int main(void)
{
	int children, status;

	mount_at("devtmpfs", "devtmpfs", "/dev", 0, NULL);
	mount_at("proc", "proc", "/proc", 0, NULL);
	mount_at("sysfs", "sysfs", "/sys", 0, NULL);
	load_drivers();
	control = open_port("control");
	out.port = open_port("stdout");
	err.port = open_port("stderr");
	mount_root();
	take_job();
	mount_guest_file_systems();
	load_tested_module();
	enter_root();
	prepare_system();
	children = block_children();
	status = await_command(start_command(), children);
	end_others();
	look_for_leaks();
	if (job.module) {
		/* What was found till here names the module's functions. */
		remove_tested_module();
		look_for_leaks();
	}
	unmount_writable();
	report(status);
	power_off();
}
