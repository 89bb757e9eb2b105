/*
 * args.c: the command line.
 *
 * Main thread, before the others. Two passes, so that a --set before --config still wins over the file.
 */
#include "daemon/args.h"

#include <getopt.h>
#include <stddef.h>
#include <string.h>

enum {
    OPT_LISTEN = 1000,
    OPT_DATA_DIR,
    OPT_CONFIG,
    OPT_SET,
    OPT_HELP,
    OPT_VERSION,
    OPT_PRINT_CONFIG,
    OPT_PRINT_ROUTES
};

static const struct option OPTIONS[] = {{"listen", required_argument, NULL, OPT_LISTEN},
                                        {"data-dir", required_argument, NULL, OPT_DATA_DIR},
                                        {"config", required_argument, NULL, OPT_CONFIG},
                                        {"set", required_argument, NULL, OPT_SET},
                                        {"help", no_argument, NULL, OPT_HELP},
                                        {"version", no_argument, NULL, OPT_VERSION},
                                        {"print-config", no_argument, NULL, OPT_PRINT_CONFIG},
                                        {"print-routes", no_argument, NULL, OPT_PRINT_ROUTES},
                                        {NULL, 0, NULL, 0}};

void args_help(FILE *out)
{
    (void)fputs("Usage: ferryd [OPTION]...\n"
                "Migrates PyTorch models to JAX over HTTP and proves the result. Runs in the foreground, "
                "logs to stderr.\n\n"
                "  --listen HOST:PORT       same as --set server.listen=HOST:PORT\n"
                "  --data-dir DIR           same as --set store.data_dir=DIR\n"
                "  --config FILE            read an INI file\n"
                "  --set SECTION.KEY=VALUE  set one setting; wins over files\n"
                "  --print-config           print the settings in force as an INI file\n"
                "  --print-routes           print the routes that are served\n"
                "  --version, --help\n\nSettings:\n",
                out);
    config_help(out);
}

static int apply_file(int opt, struct config *c, struct err *e)
{
    return opt == OPT_CONFIG ? config_load(c, optarg, e) : 0;
}

static int apply_setting(int opt, struct config *c, enum args_action *action, struct err *e)
{
    switch (opt) {
    case OPT_LISTEN:
        return config_set_key(c, CONFIG_server_listen, optarg, e);
    case OPT_DATA_DIR:
        return config_set_key(c, CONFIG_store_data_dir, optarg, e);
    case OPT_SET:
        return config_set(c, optarg, e);
    case OPT_HELP:
        *action = ARGS_HELP;
        return 0;
    case OPT_VERSION:
        *action = ARGS_VERSION;
        return 0;
    case OPT_PRINT_CONFIG:
        *action = ARGS_PRINT_CONFIG;
        return 0;
    case OPT_PRINT_ROUTES:
        *action = ARGS_PRINT_ROUTES;
        return 0;
    default:
        return 0;
    }
}

int args_parse(int argc, char **argv, struct config *c, enum args_action *action, struct err *e)
{
    *action = ARGS_RUN;
    for (int pass = 0; pass < 2; pass++) {
        optind = 0; /* glibc: start over */
        opterr = 0;
        for (int opt; (opt = getopt_long(argc, argv, "", OPTIONS, NULL)) != -1;) {
            if (opt == '?')
                return err_set(e, FERR_CONFIG, "unknown option or missing value: %s (see --help)",
                               argv[optind - 1]);
            int rc = pass == 0 ? apply_file(opt, c, e) : apply_setting(opt, c, action, e);
            if (rc != 0)
                return rc;
        }
        if (optind < argc)
            return err_set(e, FERR_CONFIG, "unexpected argument: %s (see --help)", argv[optind]);
    }
    return 0;
}
