/*
 * options.c of ferry-jail: the command line, and where an environment lies on this machine.
 *
 * A virtual environment is only a folder of packages and a link to a base interpreter, which may
 * be anywhere, also below a folder that only root may enter. Inside the jail both get fixed
 * places (bubblewrap.c), so here we only find them.
 */
#include "workers/sandbox/jail/jail.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { OPT_ENV = 1, OPT_PYTHON, OPT_PACKAGE, OPT_CGROUP, OPT_WEAK };

static const struct option OPTIONS[] = {
    {"env", required_argument, NULL, OPT_ENV},
    {"python", required_argument, NULL, OPT_PYTHON},
    {"package", required_argument, NULL, OPT_PACKAGE},
    {"cgroup", required_argument, NULL, OPT_CGROUP},
    {"weak", no_argument, NULL, OPT_WEAK},
    {NULL, 0, NULL, 0},
};

void jail_options_parse(int argc, char **argv, struct jail_options *o)
{
    *o = (struct jail_options){0};
    for (int opt; (opt = getopt_long(argc, argv, "", OPTIONS, NULL)) != -1;) {
        switch (opt) {
        case OPT_ENV:
            o->env = optarg;
            break;
        case OPT_PYTHON:
            o->python = optarg;
            break;
        case OPT_PACKAGE:
            o->package = optarg;
            break;
        case OPT_CGROUP:
            o->cgroup = optarg;
            break;
        case OPT_WEAK:
            o->weak = true;
            break;
        default:
            jail_die("usage: ferry-jail --env torch|jax --python FILE --package DIR [--cgroup DIR] [--weak]");
        }
    }
    if (optind != argc || !o->env || !o->python || !o->package)
        jail_die("--env, --python and --package are needed, and nothing else");
    if (strcmp(o->env, "torch") != 0 && strcmp(o->env, "jax") != 0)
        jail_die("--env is torch or jax");
}

static void join(char out[PATH_MAX], const char *dir, const char *name)
{
    int len = snprintf(out, PATH_MAX, "%s/%s", dir, name);
    if (len < 0 || len >= PATH_MAX)
        jail_die("a path is too long: %s", dir);
}

static void resolve(const char *path, char out[PATH_MAX])
{
    if (!realpath(path, out))
        jail_die("%s: %s", path, strerror(errno));
}

/* Cuts the last part of `path` off and returns it, or NULL where there is none. */
static char *cut_last(char *path)
{
    char *slash = strrchr(path, '/');
    if (!slash || slash == path)
        return NULL;
    *slash = '\0';
    return slash + 1;
}

/* "python3" of a base interpreter is a link to "python3.11": the name of its library folder too. */
static void find_base(const struct jail_options *o, struct jail_layout *l)
{
    resolve(o->python, l->interpreter);
    (void)snprintf(l->base, sizeof l->base, "%s", l->interpreter);
    const char *name = cut_last(l->base);
    const char *bin = cut_last(l->base);
    if (!name || !bin || strncmp(name, "python3.", 8) != 0 || strlen(name) >= sizeof l->version)
        jail_die("%s is not a versioned Python interpreter in a bin folder", l->interpreter);
    (void)snprintf(l->version, sizeof l->version, "%s", name);
}

static void find_venv(const struct jail_options *o, struct jail_layout *l)
{
    char root[PATH_MAX];
    char config[PATH_MAX];
    char lib[PATH_MAX];
    (void)snprintf(root, sizeof root, "%s", o->python);
    if (!cut_last(root) || !cut_last(root))
        jail_die("--python must be the bin/python of a virtual environment");
    join(config, root, "pyvenv.cfg");
    if (access(config, R_OK) != 0)
        jail_die("%s: %s", config, strerror(errno));
    join(lib, root, "lib");
    resolve(lib, l->venv_lib);
}

/* What is bound into the jail keeps its owner and mode, and steps belong to nobody. */
static void check_open_dir(const char *path)
{
    struct stat st;
    if (stat(path, &st) != 0)
        jail_die("%s: %s", path, strerror(errno));
    if (!S_ISDIR(st.st_mode) || (st.st_mode & 0005) != 0005)
        jail_die("%s must be a folder that everybody may read", path);
}

void jail_layout_find(const struct jail_options *o, struct jail_layout *l)
{
    find_base(o, l);
    find_venv(o, l);
    check_open_dir(l->venv_lib);
    check_open_dir(o->package);
    resolve("/proc/self/exe", l->self);
}
