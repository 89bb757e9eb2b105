/*
 * command.c: a request that waits for a commit.
 *
 * http thread: suspend first, then hand the command over, because its answer may come at once from another
 * thread. Writer or intake thread: command_done() keeps the outcome under the registry's mutex and resumes.
 * From then on the request belongs to the http thread again. Fatal: an answer for what is no request.
 */
#include "api/internal.h"

#include <assert.h>

struct outcome {
    struct command *command;
    int rc;
    const struct err *err;
};

static void keep_outcome(void *arg)
{
    const struct outcome *o = arg;
    o->command->rc = o->rc;
    if (o->rc && o->err)
        o->command->err = *o->err;
}

void command_done(void *arg, int rc, const struct err *e)
{
    struct request *r = arg;
    assert(r->magic == REQUEST_MAGIC);
    struct outcome outcome = {&r->command, rc, e};
    wait_command_end(&r->api->registry, &r->wait, keep_outcome, &outcome);
}

int command_run(struct request *r, command_submit_fn submit)
{
    assert(!r->command.sent);
    int rc = wait_command_begin(&r->api->registry, &r->wait, r->conn, &r->err);
    if (rc)
        return rc;
    r->command.sent = true;
    struct err e = {0};
    rc = submit(r, &e);
    if (rc)
        command_done(r, rc, &e);
    return 0;
}
