/*
 * vocab.c: words of the tables in vocab.h and the way back.
 *
 * Any thread; constant data only.
 */
#include "daemon/vocab.h"

#include <assert.h>
#include <string.h>

#define X(name, word, ...) word,
static const char *const JOB_STATES[] = {JOB_STATE_TABLE(X)};
static const char *const STEPS[] = {STEP_TABLE(X)};
static const char *const STAGES[] = {STAGE_TABLE(X)};
static const char *const STAGE_GROUPS[] = {STAGE_GROUP_TABLE(X)};
static const char *const STAGE_STATUSES[] = {STAGE_STATUS_TABLE(X)};
static const char *const VERDICTS[] = {VERDICT_TABLE(X)};
static const char *const REASONS[] = {REASON_TABLE(X)};
static const char *const ENGINES[] = {ENGINE_TABLE(X)};
static const char *const STYLES[] = {STYLE_TABLE(X)};
static const char *const KINDS[] = {KIND_TABLE(X)};
static const char *const EVENTS[] = {EVENT_TABLE(X)};
#undef X

#define X(name, word, final) final,
static const bool JOB_STATE_FINAL[] = {JOB_STATE_TABLE(X)};
#undef X
#define X(name, word, group) STAGE_GROUP_##group,
static const enum stage_group STAGE_GROUP_OF[] = {STAGE_TABLE(X)};
#undef X
#define X(name, word, verdict, title) VERDICT_##verdict,
static const enum verdict_kind REASON_VERDICTS[] = {REASON_TABLE(X)};
#undef X
#define X(name, word, verdict, title) title,
static const char *const REASON_TITLES[] = {REASON_TABLE(X)};
#undef X
#define X(name, word, available, about) about,
static const char *const ENGINE_ABOUTS[] = {ENGINE_TABLE(X)};
#undef X

static int find(const char *const *words, size_t n, const char *s)
{
    for (size_t i = 0; s && i < n; i++)
        if (strcmp(words[i], s) == 0)
            return (int)i;
    return -1;
}

#define WORDS(prefix, type, table, count)        \
    const char *prefix##_name(enum type v)       \
    {                                            \
        assert((unsigned)v < (unsigned)(count)); \
        return table[v];                         \
    }
#define PARSER(prefix, table, count)    \
    int prefix##_parse(const char *s)   \
    {                                   \
        return find(table, (count), s); \
    }

WORDS(job_state, job_state, JOB_STATES, JOB_STATE_COUNT)
PARSER(job_state, JOB_STATES, JOB_STATE_COUNT)
WORDS(step, step_kind, STEPS, STEP_COUNT)
WORDS(stage, stage, STAGES, STAGE_COUNT)
PARSER(stage, STAGES, STAGE_COUNT)
PARSER(stage_group, STAGE_GROUPS, STAGE_GROUP_COUNT)
WORDS(stage_status, stage_status, STAGE_STATUSES, STAGE_STATUS_COUNT)
PARSER(stage_status, STAGE_STATUSES, STAGE_STATUS_COUNT)
WORDS(verdict, verdict_kind, VERDICTS, VERDICT_COUNT)
PARSER(verdict, VERDICTS, VERDICT_COUNT)
WORDS(reason, reason, REASONS, REASON_COUNT)
PARSER(reason, REASONS, REASON_COUNT)
WORDS(engine, engine, ENGINES, ENGINE_COUNT)
PARSER(engine, ENGINES, ENGINE_COUNT)
WORDS(style, style, STYLES, STYLE_COUNT)
PARSER(style, STYLES, STYLE_COUNT)
WORDS(kind, job_kind, KINDS, KIND_COUNT)
PARSER(kind, KINDS, KIND_COUNT)
WORDS(event, event_type, EVENTS, EVENT_COUNT)
PARSER(event, EVENTS, EVENT_COUNT)

bool job_state_final(enum job_state v)
{
    assert((unsigned)v < JOB_STATE_COUNT);
    return JOB_STATE_FINAL[v];
}

enum stage_group stage_group_of(enum stage v)
{
    assert((unsigned)v < STAGE_COUNT);
    return STAGE_GROUP_OF[v];
}

const char *reason_title(enum reason v)
{
    assert((unsigned)v < REASON_COUNT);
    return REASON_TITLES[v];
}

enum verdict_kind reason_verdict(enum reason v, bool candidate)
{
    assert((unsigned)v < REASON_COUNT);
    if (candidate && REASON_VERDICTS[v] == VERDICT_SOURCE_ERROR)
        return VERDICT_DIFFERS;
    return REASON_VERDICTS[v];
}

const char *engine_about(enum engine v)
{
    assert((unsigned)v < ENGINE_COUNT);
    return ENGINE_ABOUTS[v];
}
