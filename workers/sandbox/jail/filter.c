/*
 * filter.c of ferry-jail: the two system call filters, made with libseccomp.
 *
 * Both are lists of what is allowed. STEP holds for code of callers and models: files, memory,
 * threads, signals, time, and no way to new privileges, namespaces, sockets, programs or kernel
 * interfaces with a history. ZYGOTE is what our own Python needs on top to set a step up. Calls
 * that sound like an attack fail with EPERM; calls we do not know fail with ENOSYS, so that C
 * libraries fall back to older ones. A filter of a step adds to the zygote's, it never widens it.
 */
#include "workers/sandbox/jail/jail.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <seccomp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

static const char *const STEP[] = {
    /* descriptors and files */
    "read", "write", "readv", "writev", "pread64", "pwrite64", "preadv", "pwritev", "preadv2", "pwritev2",
    "open", "openat", "close", "close_range", "dup", "dup2", "dup3", "fcntl", "lseek", "stat", "lstat",
    "fstat", "newfstatat", "statx", "access", "faccessat", "faccessat2", "readlink", "readlinkat", "getdents",
    "getdents64", "getcwd", "chdir", "fchdir", "umask", "statfs", "fstatfs", "truncate", "ftruncate",
    "fallocate", "fsync", "fdatasync", "mkdir", "mkdirat", "rmdir", "unlink", "unlinkat", "rename",
    "renameat", "renameat2", "link", "linkat", "symlink", "symlinkat", "chmod", "fchmodat", "utime", "utimes",
    "utimensat", "futimesat", "flock", "fadvise64", "copy_file_range", "sendfile", "pipe", "pipe2", "poll",
    "ppoll", "select", "pselect6", "epoll_create", "epoll_create1", "epoll_ctl", "epoll_wait", "epoll_pwait",
    "epoll_pwait2", "eventfd", "eventfd2",
    /* memory and threads; mmap, clone and prctl have rules of their own */
    "mprotect", "munmap", "mremap", "madvise", "brk", "msync", "membarrier", "futex", "futex_waitv",
    "set_robust_list", "get_robust_list", "rseq", "set_tid_address", "arch_prctl", "sched_yield",
    "sched_getaffinity", "sched_setaffinity", "sched_getparam", "sched_getscheduler",
    "sched_get_priority_max", "sched_get_priority_min", "getcpu", "getpriority",
    /* signals and time */
    "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "rt_sigpending", "rt_sigsuspend", "rt_sigtimedwait",
    "sigaltstack", "kill", "tkill", "tgkill", "pause", "alarm", "getitimer", "setitimer", "nanosleep",
    "clock_nanosleep", "clock_gettime", "clock_getres", "gettimeofday", "time", "times", "restart_syscall",
    /* processes and what they know of themselves */
    "fork", "vfork", "wait4", "waitid", "exit", "exit_group", "getpid", "getppid", "gettid", "getuid",
    "geteuid", "getgid", "getegid", "getresuid", "getresgid", "getgroups", "getpgid", "getpgrp", "getsid",
    "uname", "sysinfo", "getrusage", "getrlimit", "setrlimit", "prlimit64", "getrandom", "capget"};

/* Setting a step up; they fail with EPERM in a step. */
static const char *const ZYGOTE[] = {
    /* programs, mounts, identity */
    "execve", "execveat", "mount", "umount2", "sethostname", "setgroups", "setresuid", "setresgid", "setuid",
    "setgid", "capset", "seccomp", "setsid", "setpgid",
    /* confinement */
    "landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self", "pidfd_send_signal",
    "pidfd_open", "memfd_create",
    /* talking to the daemon */
    "sendmsg", "recvmsg", "sendto", "recvfrom", "getsockopt", "setsockopt", "getsockname", "getpeername",
    "shutdown"};

/* Whole for the zygote, under conditions in a step. */
static const char *const CONDITIONAL[] = {"clone", "clone3", "mmap", "prctl", "ioctl"};

static const char *const ATTACKS[] = {
    /* network and other processes */
    "socket", "socketpair", "connect", "bind", "listen", "accept", "accept4", "ptrace", "process_vm_readv",
    "process_vm_writev", "pidfd_getfd", "kcmp",
    /* namespaces, mounts, foreign files */
    "unshare", "setns", "pivot_root", "chroot", "move_mount", "fsopen", "open_tree", "fsmount",
    "mount_setattr", "name_to_handle_at", "open_by_handle_at", "mknod", "mknodat", "fchmod", "chown",
    "fchown", "lchown", "fchownat", "setxattr",
    /* kernel interfaces with a history */
    "bpf", "perf_event_open", "userfaultfd", "io_uring_setup", "io_uring_enter", "io_uring_register",
    "keyctl", "add_key", "request_key",
    /* shared objects */
    "shmget", "shmat", "msgget", "semget", "mq_open",
    /* the machine */
    "init_module", "finit_module", "delete_module", "kexec_load", "reboot", "swapon", "syslog", "acct",
    "quotactl", "fanotify_init", "personality", "setpriority",
    /* memory that cannot be paged or counted */
    "mlock", "mlockall", "mlock2", "vmsplice", "splice", "tee"};

static void add_rule(scmp_filter_ctx ctx, uint32_t action, const char *name)
{
    int nr = seccomp_syscall_resolve_name(name);
    if (nr == __NR_SCMP_ERROR)
        return; /* newer than libseccomp: then the default holds */
    int rc = seccomp_rule_add(ctx, action, nr, 0);
    if (rc != 0)
        jail_die("seccomp rule for %s: %s", name, strerror(-rc));
}

static void add_rules(scmp_filter_ctx ctx, uint32_t action, const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        add_rule(ctx, action, names[i]);
}

static void allow_if(scmp_filter_ctx ctx, int nr, struct scmp_arg_cmp cmp)
{
    int rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, nr, 1, cmp);
    if (rc != 0)
        jail_die("seccomp rule for call %d: %s", nr, strerror(-rc));
}

#define NEW_NAMESPACES                                                                         \
    (CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | \
     CLONE_NEWCGROUP)

/* A file descriptor may be the daemon's blob, so modes are changed by path only (ATTACKS has fchmod).
 * clone3 hides its flags behind a pointer, so a step only has clone. Shared anonymous memory could be kept
 * without being counted as resident, so there is none. */
static void add_step_conditions(scmp_filter_ctx ctx)
{
    static const int PRCTLS[] = {PR_SET_NAME, PR_GET_NAME, PR_GET_DUMPABLE, PR_CAPBSET_READ, PR_SET_VMA};
    static const unsigned IOCTLS[] = {TCGETS, FIONREAD, FIOCLEX, FIONBIO};

    allow_if(ctx, SCMP_SYS(clone), SCMP_A0(SCMP_CMP_MASKED_EQ, NEW_NAMESPACES, 0));
    allow_if(ctx, SCMP_SYS(mmap), SCMP_A3(SCMP_CMP_MASKED_EQ, MAP_ANONYMOUS, 0));
    allow_if(ctx, SCMP_SYS(mmap), SCMP_A3(SCMP_CMP_MASKED_EQ, MAP_TYPE, MAP_PRIVATE));
    for (size_t i = 0; i < COUNT(PRCTLS); i++)
        allow_if(ctx, SCMP_SYS(prctl), SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)PRCTLS[i], 0));
    for (size_t i = 0; i < COUNT(IOCTLS); i++)
        allow_if(ctx, SCMP_SYS(ioctl), SCMP_A1(SCMP_CMP_EQ, IOCTLS[i], 0));
}

static scmp_filter_ctx new_filter(void)
{
    scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));
    if (!ctx)
        jail_die("seccomp_init failed");
    add_rules(ctx, SCMP_ACT_ALLOW, STEP, COUNT(STEP));
    add_rules(ctx, SCMP_ACT_ERRNO(EPERM), ATTACKS, COUNT(ATTACKS));
    return ctx;
}

static int export_filter(scmp_filter_ctx ctx, const char *name)
{
    int fd = memfd_create(name, 0);
    if (fd < 0)
        jail_die("%s: %s", name, strerror(errno));
    int rc = seccomp_export_bpf(ctx, fd);
    if (rc != 0 || lseek(fd, 0, SEEK_SET) != 0)
        jail_die("exporting %s: %s", name, strerror(rc ? -rc : errno));
    seccomp_release(ctx);
    return fd;
}

int jail_filter_zygote(void)
{
    scmp_filter_ctx ctx = new_filter();
    add_rules(ctx, SCMP_ACT_ALLOW, ZYGOTE, COUNT(ZYGOTE));
    add_rules(ctx, SCMP_ACT_ALLOW, CONDITIONAL, COUNT(CONDITIONAL));
    return export_filter(ctx, "zygote-filter");
}

int jail_filter_step(void)
{
    scmp_filter_ctx ctx = new_filter();
    add_rules(ctx, SCMP_ACT_ERRNO(EPERM), ZYGOTE, COUNT(ZYGOTE));
    add_step_conditions(ctx);
    return export_filter(ctx, "step-filter");
}

void jail_filter_apply(int fd)
{
    struct stat st;
    if (fstat(fd, &st) != 0 || st.st_size <= 0)
        jail_die("the filter can't be read");
    void *code = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (code == MAP_FAILED)
        jail_die("the filter can't be mapped: %s", strerror(errno));
    struct sock_fprog program = {.len = (unsigned short)((size_t)st.st_size / sizeof(struct sock_filter)),
                                 .filter = code};
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
        jail_die("loading the filter: %s", strerror(errno));
    (void)close(fd);
}
