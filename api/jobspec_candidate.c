/*
 * jobspec_candidate.c: `contract`, and how kind, engine and candidate go together.
 *
 * Any thread, pure. Words come from the vocabularies of daemon/vocab.h.
 */
#include "api/jobspec_candidate.h"

#include "daemon/vocab.h"

#include <string.h>

static const struct field STAGE_ITEM = {.type = FIELD_STRING};

const struct field CONTRACT_MEMBERS[] = {
    FIELD_OR_NULL(.name = "stages", .type = FIELD_ARRAY, .min = 1, .max = 64, .items = &STAGE_ITEM,
                  .check = check_stages),
    FIELD_OR_NULL(.name = "seeds", .type = FIELD_INTEGER, .min = 1, .max = 16),
    {.name = NULL},
};

/* The stages that a word stands for; none where it is not one. */
static stage_set stages_of(const char *word)
{
    int stage = stage_parse(word), group = stage_group_parse(word);
    stage_set set = stage >= 0 ? STAGE_BIT(stage) : 0;
    for (int s = 0; group > STAGE_GROUP_ALWAYS && s < STAGE_COUNT; s++)
        if ((int)stage_group_of((enum stage)s) == group)
            set |= STAGE_BIT(s);
    return set;
}

int check_stages(json_t *value, const struct pointer *at, const void *arg, struct err *e)
{
    (void)arg;
    stage_set set = 0;
    size_t i;
    json_t *word;
    json_array_foreach(value, i, word)
    {
        stage_set more = stages_of(json_string_value(word));
        struct pointer here = pointer_index(at, i);
        if (!more)
            return err_at(e, FERR_INVALID_FIELD, here.text,
                          "must be forward, gradients, train, optimizer, or the name of a stage");
        set |= more;
    }
    int bad = json_array_clear(value);
    for (int s = 0; s < STAGE_COUNT; s++)
        if ((set & STAGE_BIT(s)) || stage_group_of((enum stage)s) == STAGE_GROUP_ALWAYS)
            bad |= json_array_append_new(value, json_string(stage_name((enum stage)s)));
    return bad ? err_set(e, FERR_NO_MEMORY, "no memory for the request") : 0;
}

static int refuse(const struct pointer *at, const char *member, struct err *e, enum ferr code,
                  const char *what)
{
    struct pointer here = pointer_member(at, member);
    return err_at(e, code, here.text, "%s", what);
}

int check_kind(json_t *request, const struct pointer *at, struct err *e)
{
    int kind = kind_parse(json_string_value(json_object_get(request, "kind")));
    int engine = engine_parse(json_string_value(json_object_get(request, "engine")));
    bool candidate = json_is_object(json_object_get(request, "candidate"));
    if (kind != KIND_VERIFY) {
        if (candidate)
            return refuse(at, "candidate", e, FERR_INVALID_FIELD, "belongs to the kind \"verify\"");
        if (engine == ENGINE_GIVEN)
            return refuse(at, "engine", e, FERR_INVALID_FIELD, "belongs to the kind \"verify\"");
        return 0;
    }
    if (!candidate)
        return refuse(at, "candidate", e, FERR_MISSING_FIELD, "the kind \"verify\" needs it");
    if (engine != ENGINE_AUTO && engine != ENGINE_GIVEN)
        return refuse(at, "engine", e, FERR_INVALID_FIELD,
                      "does not go with the kind \"verify\", whose engine is \"given\"");
    if (json_object_set_new(request, "engine", json_string(engine_name(ENGINE_GIVEN))))
        return err_set(e, FERR_NO_MEMORY, "no memory for the request");
    return 0;
}
