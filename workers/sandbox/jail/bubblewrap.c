/*
 * bubblewrap.c of ferry-jail: what the zygote sees.
 *
 * The command line of bubblewrap is the whole description of the jail's file system, from top to
 * bottom: the system read-only, the environment under fixed names (so that no path of this machine
 * shows in a traceback), an empty /tmp, four devices, nothing else. The environment variables
 * are a constant, too: nothing of the daemon's gets in.
 */
#include "workers/sandbox/jail/jail.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef FERRY_BUBBLEWRAP
#define FERRY_BUBBLEWRAP "/usr/bin/bwrap"
#endif

#define MAX_ARGS 160

struct args {
    size_t n;
    const char *v[MAX_ARGS];
};

/* One thread per library pool: a second thread would forbid the user namespace of a step, and sums
 * would depend on the machine. */
static const char *const ENVIRONMENT[] = {
    "PATH=/usr/bin:/bin",
    "HOME=/tmp",
    "TMPDIR=/tmp",
    "USER=ferry",
    "LOGNAME=ferry",
    "LANG=C.UTF-8",
    "TZ=UTC0",
    "OMP_NUM_THREADS=1",
    "OPENBLAS_NUM_THREADS=1",
    "MKL_NUM_THREADS=1",
    "MALLOC_ARENA_MAX=2",
    "PYTHONHASHSEED=0",
    "PYTHONDONTWRITEBYTECODE=1",
    "PYTHONUNBUFFERED=1",
    "JAX_PLATFORMS=cpu",
    "XLA_FLAGS=--xla_cpu_multi_thread_eigen=false",
    "TF_CPP_MIN_LOG_LEVEL=2",
    NULL,
};

static void add(struct args *a, const char *word)
{
    if (a->n + 1 >= MAX_ARGS)
        jail_die("too many arguments for bubblewrap");
    a->v[a->n++] = word;
    a->v[a->n] = NULL;
}

static void add2(struct args *a, const char *option, const char *value)
{
    add(a, option);
    add(a, value);
}

static void add3(struct args *a, const char *option, const char *from, const char *to)
{
    add2(a, option, from);
    add(a, to);
}

/* A string that lives until the exec. */
__attribute__((format(printf, 1, 2))) static const char *text(const char *fmt, ...)
{
    char *out = NULL;
    va_list ap;
    va_start(ap, fmt);
    if (vasprintf(&out, fmt, ap) < 0)
        jail_die("out of memory");
    va_end(ap);
    return out;
}

static bool is_dir(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* /bin, /lib …: links into /usr on most systems, folders on some. */
static void add_system_dir(struct args *a, const char *path)
{
    char target[PATH_MAX];
    ssize_t len = readlink(path, target, sizeof target - 1);
    if (len > 0) {
        target[len] = '\0';
        add3(a, "--symlink", text("%s", target), path);
    } else if (is_dir(path)) {
        add3(a, "--ro-bind", path, path);
    }
}

/* Parents that bubblewrap makes by itself are closed to others, and steps are not root. */
static void add_open_dirs(struct args *a)
{
    static const char *const DIRS[] = {"/ferry",       "/ferry/base",        "/ferry/base/bin",
                                       "/ferry/env",   "/ferry/env/bin",     "/sys",
                                       "/sys/devices", "/sys/devices/system"};
    for (size_t i = 0; i < sizeof DIRS / sizeof *DIRS; i++)
        add2(a, "--dir", DIRS[i]);
}

static void hide_dir(struct args *a, const char *path, const char *inside)
{
    if (!is_dir(path))
        return;
    add2(a, "--tmpfs", inside);
    add2(a, "--remount-ro", inside);
}

static void add_system(struct args *a)
{
    static const char *const DIRS[] = {"/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"};
    static const char *const DEVICES[] = {"/dev/null", "/dev/urandom", "/dev/random", "/dev/full"};

    add3(a, "--ro-bind", "/usr", "/usr");
    for (size_t i = 0; i < sizeof DIRS / sizeof *DIRS; i++)
        add_system_dir(a, DIRS[i]);
    hide_dir(a, "/usr/local", "/usr/local");
    hide_dir(a, "/usr/lib/python3/dist-packages", "/usr/lib/python3/dist-packages");
    add2(a, "--proc", "/proc");
    add2(a, "--tmpfs", "/dev");
    for (size_t i = 0; i < sizeof DEVICES / sizeof *DEVICES; i++)
        add3(a, "--dev-bind", DEVICES[i], DEVICES[i]);
    add2(a, "--remount-ro", "/dev");
    add3(a, "--ro-bind-try", "/sys/devices/system/cpu", "/sys/devices/system/cpu");
    add2(a, "--tmpfs", "/tmp");
}

static int data_fd(const char *name, const char *data)
{
    int fd = memfd_create(name, 0);
    if (fd < 0 || dprintf(fd, "%s", data) < 0 || lseek(fd, 0, SEEK_SET) != 0)
        jail_die("%s: %s", name, strerror(errno));
    return fd;
}

/* The virtual environment anew: /ferry/env/bin/python links to the base interpreter in /ferry/base. A base
 * installed in /usr stays where it is. The base's own packages are hidden: they belong to neither
 * environment. */
static void add_python(struct args *a, const struct jail_layout *l)
{
    bool system = strcmp(l->base, "/usr") == 0;
    const char *base = system ? "/usr" : "/ferry/base";
    const char *bin = text("%s/bin/%s", base, l->version);
    if (!system) {
        add3(a, "--ro-bind", l->interpreter, bin);
        add3(a, "--ro-bind", text("%s/lib", l->base), "/ferry/base/lib");
        add3(a, "--setenv", "LD_LIBRARY_PATH", "/ferry/base/lib");
        hide_dir(a, text("%s/lib/%s/site-packages", l->base, l->version),
                 text("/ferry/base/lib/%s/site-packages", l->version));
    }
    int config = data_fd("pyvenv.cfg", text("home = %s/bin\ninclude-system-site-packages = false\n", base));
    add3(a, "--ro-bind", l->venv_lib, "/ferry/env/lib");
    add3(a, "--symlink", "lib", "/ferry/env/lib64");
    add3(a, "--symlink", bin, "/ferry/env/bin/python");
    add2(a, "--perms", "0444");
    add3(a, "--ro-bind-data", text("%d", config), "/ferry/env/pyvenv.cfg");
}

/* -P: the current folder is not searched; -s: neither is the user's. */
static void add_zygote(struct args *a, const struct jail_options *o, const char *python)
{
    static const char *const FLAGS[] = {"-P", "-s", "-B", "-m", "ferry.zygote"};
    add(a, python);
    for (size_t i = 0; i < sizeof FLAGS / sizeof *FLAGS; i++)
        add(a, FLAGS[i]);
    add2(a, "--env", o->env);
    add2(a, "--control-fd", text("%d", JAIL_CONTROL_FD));
    add2(a, "--filter-fd", text("%d", jail_filter_step()));
    if (o->weak)
        add(a, "--weak");
}

/* execve() takes pointers to char for history's sake; it changes nothing through them. */
_Noreturn static void become(const char *const *argv, const char *const *environment)
{
    (void)execve(argv[0], (char *const *)(uintptr_t)argv, (char *const *)(uintptr_t)environment);
    jail_die("%s: %s", argv[0], strerror(errno));
}

static void add_namespaces(struct args *a)
{
    add(a, "--unshare-ipc");
    add(a, "--unshare-pid");
    add(a, "--unshare-net");
    add(a, "--unshare-uts");
    add(a, "--unshare-cgroup-try");
    add2(a, "--hostname", "ferry");
    add(a, "--die-with-parent");
    if (geteuid() == 0) {
        add2(a, "--cap-drop", "ALL");
        add2(a, "--cap-add", "CAP_SETUID");
        add2(a, "--cap-add", "CAP_SETGID");
    } else {
        add(a, "--unshare-user");
        add2(a, "--uid", text("%d", JAIL_UID));
        add2(a, "--gid", text("%d", JAIL_UID));
    }
}

_Noreturn void jail_exec_bubblewrap(const struct jail_options *o, const struct jail_layout *l)
{
    struct args a = {0};
    add(&a, FERRY_BUBBLEWRAP);
    add_namespaces(&a);
    add_open_dirs(&a);
    add_system(&a);
    add_python(&a, l);
    add3(&a, "--ro-bind", o->package, "/ferry/package");
    add3(&a, "--setenv", "PYTHONPATH", "/ferry/package");
    if (geteuid() == 0)
        add3(&a, "--ro-bind", l->self, "/ferry/jail");
    add2(&a, "--remount-ro", "/");
    add2(&a, "--chdir", "/tmp");
    add2(&a, "--seccomp", text("%d", jail_filter_zygote()));
    add(&a, "--");
    if (geteuid() == 0)
        add3(&a, "/ferry/jail", "--inner", "--");
    add_zygote(&a, o, "/ferry/env/bin/python");
    become(a.v, ENVIRONMENT);
}

_Noreturn void jail_exec_bare(const struct jail_options *o)
{
    struct args a = {0};
    const char *environment[sizeof ENVIRONMENT / sizeof *ENVIRONMENT + 1];
    size_t n = 0;
    for (; ENVIRONMENT[n]; n++)
        environment[n] = ENVIRONMENT[n];
    environment[n++] = text("PYTHONPATH=%s", o->package);
    environment[n] = NULL;
    add_zygote(&a, o, o->python);
    if (chdir("/") != 0)
        jail_die("/: %s", strerror(errno));
    jail_filter_apply(jail_filter_zygote());
    become(a.v, environment);
}
