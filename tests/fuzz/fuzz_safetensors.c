/*
 * fuzz_safetensors.c: a libFuzzer target for the reader of tensors that come out of a sandbox.
 *
 *   clang -std=gnu11 -D_GNU_SOURCE -I. -g -O1 -fsanitize=fuzzer,address,undefined
 * tests/fuzz/fuzz_safetensors.c \ workers/verdict/st_*.c workers/verdict/compare.c workers/verdict/span.c
 * daemon/err.c -ljansson -lm -o build/fuzz_safetensors build/fuzz_safetensors -max_len=4096
 * -max_total_time=60
 *
 * Whatever the reader lets through must tile the data, be found by its name, be readable to the last byte and
 * be equal to itself.
 */
#include "workers/verdict/verdict.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(bool condition)
{
    if (!condition)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct st_file *f = NULL;
    struct err e = {0};
    if (st_open_memory(data, size, NULL, &f, &e) != 0) {
        demand(!f && (e.code == FERR_INVALID_TENSORS || e.code == FERR_NO_MEMORY) && e.text[0]);
        return 0;
    }
    const uint8_t *end = st_count(f) ? st_at(f, 0)->data : data + size;
    for (size_t i = 0; i < st_count(f); i++) {
        const struct st_tensor *t = st_at(f, i);
        struct verdict_diff d;
        demand(t->data == end && st_find(f, t->name) == t);
        demand(t->bytes == t->count * st_dtype_size(t->dtype));
        end += t->bytes;
        verdict_compare(t, t, NULL, &VERDICT_TOLERANCES_DEFAULT, &d);
        demand(d.equal);
    }
    demand(end == data + size);
    st_close(f);
    return 0;
}
