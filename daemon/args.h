/*
 * args.h: ferryd's command line. Main thread.
 */
#ifndef FERRY_DAEMON_ARGS_H
#define FERRY_DAEMON_ARGS_H

#include "daemon/config.h"

enum args_action { ARGS_RUN, ARGS_HELP, ARGS_VERSION, ARGS_PRINT_CONFIG, ARGS_PRINT_ROUTES };

/* Reads the command line into `c` (files first, then --set, --listen and --data-dir in the order given).
 * FERR_CONFIG with a text for the user. */
int args_parse(int argc, char **argv, struct config *c, enum args_action *action, struct err *e);
void args_help(FILE *out);

#endif
