/*
 * inner.c of ferry-jail: the second stage, inside bubblewrap, when the daemon runs as root.
 *
 * Root without a user namespace is real root, whom the kernel exempts from the process limit and
 * from file permissions. So the mounts are made as root, and here root is given up for good,
 * before the interpreter starts. bubblewrap has left us CAP_SETUID and CAP_SETGID only.
 */
#include "workers/sandbox/jail/jail.h"

#include <errno.h>
#include <grp.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

_Noreturn void jail_inner(char **command)
{
    const struct rlimit processes = {.rlim_cur = JAIL_PROCESSES, .rlim_max = JAIL_PROCESSES};
    if (setgroups(0, NULL) != 0 || setresgid(JAIL_UID, JAIL_UID, JAIL_UID) != 0 ||
        setresuid(JAIL_UID, JAIL_UID, JAIL_UID) != 0)
        jail_die("giving up root: %s", strerror(errno));
    if (setuid(0) == 0)
        jail_die("root could be taken back");
    if (setrlimit(RLIMIT_NPROC, &processes) != 0)
        jail_die("process limit: %s", strerror(errno));
    (void)execv(command[0], command);
    jail_die("%s: %s", command[0], strerror(errno));
}
