/*
 * main.c of ferry-jail: prepares this process, then becomes a zygote inside bubblewrap.
 *
 *     ferry-jail --env torch --python ENV/bin/python --package DIR [--cgroup DIR] [--weak]
 *
 * Descriptor 3 is the zygote's control socket, 1 and 2 go to the daemon's log; all others are
 * closed here, because the daemon's libuv does not do it. What is set up here holds for the
 * zygote and for all its steps: own session, death with the daemon, no new privileges, no core
 * dumps. `ferry-jail --inner -- COMMAND` is the second stage (inner.c).
 */
#include "workers/sandbox/jail/jail.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

_Noreturn void jail_die(const char *fmt, ...)
{
    char text[1024];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    (void)dprintf(STDERR_FILENO, "ferry-jail: %s\n", text);
    _exit(1);
}

static void check_control_socket(void)
{
    int type = 0;
    socklen_t size = sizeof type;
    if (getsockopt(JAIL_CONTROL_FD, SOL_SOCKET, SO_TYPE, &type, &size) != 0 || type != SOCK_SEQPACKET)
        jail_die("descriptor %d is not a SOCK_SEQPACKET socket", JAIL_CONTROL_FD);
}

static void close_inherited(void)
{
    if (close_range(JAIL_CONTROL_FD + 1, ~0U, 0) != 0)
        jail_die("close_range: %s", strerror(errno));
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (null < 0 || dup2(null, STDIN_FILENO) < 0)
        jail_die("/dev/null: %s", strerror(errno));
    (void)close(null);
}

/* The daemon may be gone already when the request takes effect, hence the second look. */
static void die_with_daemon(void)
{
    pid_t parent = getppid();
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0)
        jail_die("parent-death signal: %s", strerror(errno));
    if (getppid() != parent)
        jail_die("the daemon has ended");
}

/* In the guard: waits for the end of `parent`, then ends the whole group, itself included. */
_Noreturn static void guard(pid_t parent, int ready)
{
    sigset_t end;
    int got;
    (void)sigemptyset(&end);
    (void)sigaddset(&end, SIGTERM);
    if (sigprocmask(SIG_BLOCK, &end, NULL) != 0 || prctl(PR_SET_PDEATHSIG, SIGTERM) != 0 ||
        write(ready, "", 1) != 1)
        _exit(1);
    (void)close_range(0, ~0U, 0);
    if (getppid() == parent)
        (void)sigwait(&end, &got);
    (void)kill(0, SIGKILL);
    _exit(1);
}

/*
 * This process becomes bubblewrap, which forks; should it be killed before the fork has asked to die with it,
 * the fork would wait for it for ever. So a guard in our process group kills the group when this process
 * ends.
 */
static void start_guard(void)
{
    int ready[2];
    char byte;
    pid_t self = getpid();
    if (pipe2(ready, O_CLOEXEC) != 0)
        jail_die("pipe: %s", strerror(errno));
    pid_t pid = fork();
    if (pid < 0)
        jail_die("fork: %s", strerror(errno));
    if (pid == 0)
        guard(self, ready[1]);
    (void)close(ready[1]);
    if (getpgrp() != self || read(ready[0], &byte, 1) != 1)
        jail_die("the guard did not start");
    (void)close(ready[0]);
}

static void set_limit(__rlimit_resource_t what, rlim_t value)
{
    struct rlimit now;
    if (getrlimit(what, &now) != 0)
        jail_die("getrlimit: %s", strerror(errno));
    rlim_t most = now.rlim_max < value ? now.rlim_max : value;
    if (setrlimit(what, &(struct rlimit){.rlim_cur = most, .rlim_max = most}) != 0)
        jail_die("setrlimit: %s", strerror(errno));
}

static void join_cgroup(const char *dir)
{
    char path[PATH_MAX];
    int len = snprintf(path, sizeof path, "%s/cgroup.procs", dir);
    if (len < 0 || (size_t)len >= sizeof path)
        jail_die("--cgroup is too long");
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, "0", 1) != 1)
        jail_die("%s: %s", path, strerror(errno));
    (void)close(fd);
}

static void reset_signals(void)
{
    sigset_t none;
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    for (int sig = 1; sig < NSIG; sig++)
        (void)signal(sig, SIG_DFL);
}

int main(int argc, char **argv)
{
    if (argc > 3 && strcmp(argv[1], "--inner") == 0 && strcmp(argv[2], "--") == 0)
        jail_inner(argv + 3);

    struct jail_options options;
    struct jail_layout layout;
    jail_options_parse(argc, argv, &options);
    check_control_socket();
    close_inherited();
    reset_signals();
    (void)setsid(); /* fails only where we lead a session already */
    die_with_daemon();
    start_guard();
    set_limit(RLIMIT_CORE, 0);
    set_limit(RLIMIT_NOFILE, 1024);
    set_limit(RLIMIT_MEMLOCK, 0);
    set_limit(RLIMIT_MSGQUEUE, 0);
    if (options.cgroup)
        join_cgroup(options.cgroup);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        jail_die("no_new_privs: %s", strerror(errno));
    (void)umask(022);
    if (options.weak && geteuid() != 0)
        jail_exec_bare(&options);
    jail_layout_find(&options, &layout);
    jail_exec_bubblewrap(&options, &layout);
}
