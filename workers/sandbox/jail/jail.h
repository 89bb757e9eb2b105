/*
 * jail.h: the parts of ferry-jail, the launcher of a zygote.
 *
 * One process, one thread, no heap that must be freed: it ends in an exec. Every failure is
 * fatal: jail_die() says why in one line on stderr, which the daemon reads, and exits.
 */
#ifndef FERRY_WORKERS_SANDBOX_JAIL_H
#define FERRY_WORKERS_SANDBOX_JAIL_H

#include <limits.h>
#include <stdbool.h>

#define JAIL_UID 65534       /* who steps run as */
#define JAIL_CONTROL_FD 3    /* the daemon's end talks to the zygote here */
#define JAIL_PROCESSES 4096L /* of JAIL_UID on the whole machine; a step has its own, lower limit */

struct jail_options {
    const char *env;     /* "torch" or "jax" */
    const char *python;  /* interpreter of a virtual environment */
    const char *package; /* folder that holds the ferry package */
    const char *cgroup;  /* folder of a cgroup to join, or NULL */
    bool weak;           /* no user namespaces: only where the operator asked for it by name */
};

/* Where an environment's parts lie on this machine. */
struct jail_layout {
    char interpreter[PATH_MAX]; /* the base interpreter, without links */
    char base[PATH_MAX];        /* its prefix */
    char version[32];           /* "python3.11" */
    char venv_lib[PATH_MAX];    /* lib of the virtual environment */
    char self[PATH_MAX];        /* ferry-jail */
};

_Noreturn void jail_die(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* options.c. Both die where something is wrong. */
void jail_options_parse(int argc, char **argv, struct jail_options *o);
void jail_layout_find(const struct jail_options *o, struct jail_layout *l);

/* filter.c: memfds that hold a BPF program, read from the start. */
int jail_filter_zygote(void);
int jail_filter_step(void);
/* Puts the program of jail_filter_zygote() on this process. */
void jail_filter_apply(int fd);

/* bubblewrap.c: becomes the zygote inside bubblewrap. */
_Noreturn void jail_exec_bubblewrap(const struct jail_options *o, const struct jail_layout *l);
/* The same without bubblewrap: weak mode of a daemon that is not root. */
_Noreturn void jail_exec_bare(const struct jail_options *o);

/* inner.c: second stage inside bubblewrap when the daemon is root: gives root up, then execs. */
_Noreturn void jail_inner(char **command);

#endif
