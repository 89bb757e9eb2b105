/*
 * fold.h: a job is the fold of its events.
 *
 * fold_apply() is a pure function from (row, event) to row: no clock, no database. The writer uses it to
 * keep the jobs table, and the tests rebuild every row with it from the events alone.
 */
#ifndef FERRY_STORE_FOLD_H
#define FERRY_STORE_FOLD_H

#include "store/store.h"

/* The part of a job that its events make. Version 0 is a job without events. */
struct fold_row {
    enum job_state state;
    int attempt;
    int step; /* enum step_kind or -1 */
    int steps_done, steps_total;
    int64_t version;                                         /* seq of the last event */
    int64_t created_us, updated_us, started_us, finished_us; /* 0: not yet */
    const char *result, *usage; /* JSON text, borrowed from the event that set them; or NULL */
};

/* An event made ready: its data as text, and what the fold reads from it. */
struct fold_event {
    enum event_type type;
    int64_t seq, at_us;
    char *data;               /* JSON text, owned */
    int step, done, total;    /* -1 where the data has none */
    int attempt;              /* -1 where the data has none */
    char *result, *usage;     /* JSON text of final events, owned, or NULL */
    char key[STORE_SHA_SIZE]; /* the stored step that STEP_FINISHED names, or "" */
};

void fold_row_init(struct fold_row *row);
/* enum step_kind of a word, or -1; NULL too. */
int fold_step_parse(const char *word);
/* Any thread. Reads and checks `data` (object, borrowed; NULL is {}); FERR_INVALID_FIELD where a field that
 * the fold needs is missing or of the wrong kind. `*ev` needs fold_event_fini() only after success. */
int fold_event_init(struct fold_event *ev, enum event_type type, json_t *data, struct err *e);
void fold_event_fini(struct fold_event *ev);
/* FERR_CONFLICT, and the row as it was, where the job's state does not allow the event. */
int fold_apply(struct fold_row *row, const struct fold_event *ev, struct err *e);

#endif
