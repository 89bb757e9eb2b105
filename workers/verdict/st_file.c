/*
 * st_file.c: reads a safetensors file that may come from a sandbox.
 *
 *   8 bytes  length n of the header, little endian
 *   n bytes  JSON: {"name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [begin, end]}, …,
 * "__metadata__": {…}} the rest the data; offsets count from its start
 *
 * Any thread; a file is immutable once open. Invariant after a successful open: the tensors tile the data
 * exactly, in order of offset, and each has bytes == count * size of its dtype, so that no later read needs a
 * check. Nothing in the bytes is fatal: whatever is wrong ends as FERR_INVALID_TENSORS. The bytes must not
 * change while the file is open; a mapping that is truncated behind our back raises SIGBUS, hence the demand
 * for a sealed or private descriptor.
 */
#include "workers/verdict/st_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define PREFIX 8
static const struct st_limits MAXIMUM = {
    .file_bytes = (size_t)16 << 30, .header_bytes = (size_t)16 << 20, .tensors = 65536};

struct st_file {
    const unsigned char *data; /* the whole file */
    size_t len;
    bool mapped;                      /* data is ours to unmap */
    struct st_tensor *tensors;        /* owned, in order of offset; names owned too */
    const struct st_tensor **by_name; /* owned, in order of name */
    size_t n;
};

const char *st_printable(const char *name, char *out, size_t size)
{
    size_t i = 0;
    for (; name[i] && i + 1 < size; i++)
        out[i] = (name[i] >= ' ' && name[i] <= '~') ? name[i] : '?';
    out[i] = '\0';
    return out;
}

const char *st_shape_text(const struct st_tensor *t, char *out, size_t size)
{
    size_t used = (size_t)snprintf(out, size, "[");
    for (size_t i = 0; i < t->ndim && used < size; i++)
        used += (size_t)snprintf(out + used, size - used, "%s%" PRIu64, i ? ", " : "", t->shape[i]);
    if (used < size)
        (void)snprintf(out + used, size - used, "]");
    return out;
}

static int bad_tensor(struct err *e, const char *name, const char *what)
{
    char text[128];
    return err_set(e, FERR_INVALID_TENSORS, "tensor '%s': %s", st_printable(name, text, sizeof text), what);
}

static struct st_limits effective_limits(const struct st_limits *given)
{
    struct st_limits l = MAXIMUM;
    if (given && given->file_bytes && given->file_bytes < l.file_bytes)
        l.file_bytes = given->file_bytes;
    if (given && given->header_bytes && given->header_bytes < l.header_bytes)
        l.header_bytes = given->header_bytes;
    if (given && given->tensors && given->tensors < l.tensors)
        l.tensors = given->tensors;
    return l;
}

/* A parsed value costs up to forty times its text, so the containers and commas of the header are counted
 * before anything is parsed: a tensor has three containers and at most ST_NDIM_MAX + 4 commas. Metadata
 * counts as well. */
static bool header_is_modest(const char *json, size_t len, size_t tensors)
{
    size_t containers = 0, commas = 0;
    bool quoted = false;
    for (size_t i = 0; i < len; i++) {
        char c = json[i];
        if (quoted && c == '\\')
            i++;
        else if (c == '"')
            quoted = !quoted;
        else if (!quoted) {
            containers += c == '{' || c == '[';
            commas += c == ',';
        }
    }
    return containers <= 3 * tensors + 2 && commas <= (ST_NDIM_MAX + 4) * tensors + 64;
}

static int parse_header(const char *json, size_t len, size_t tensors, json_t **out, struct err *e)
{
    if (len == 0 || json[0] != '{')
        return err_set(e, FERR_INVALID_TENSORS, "the header does not begin with '{'");
    if (!header_is_modest(json, len, tensors))
        return err_set(e, FERR_INVALID_TENSORS, "the header holds more than %zu tensors or too many values",
                       tensors);
    json_error_t je;
    *out = json_loadb(json, len, JSON_REJECT_DUPLICATES, &je);
    if (!*out)
        return err_set(e, FERR_INVALID_TENSORS, "the header is not valid JSON: %s at byte %d", je.text,
                       je.position);
    return 0;
}

/* An integer >= 0 of a header. */
static bool read_size(const json_t *v, uint64_t *out)
{
    if (!json_is_integer(v) || json_integer_value(v) < 0)
        return false;
    *out = (uint64_t)json_integer_value(v);
    return true;
}

static int read_shape(const json_t *shape, const char *name, struct st_tensor *t, struct err *e)
{
    if (!json_is_array(shape))
        return bad_tensor(e, name, "the shape is not an array");
    t->ndim = json_array_size(shape);
    if (t->ndim > ST_NDIM_MAX)
        return bad_tensor(e, name, "the rank is too large");
    t->count = 1;
    for (size_t i = 0; i < t->ndim; i++) {
        if (!read_size(json_array_get(shape, i), &t->shape[i]))
            return bad_tensor(e, name, "a dimension is not an integer >= 0");
        if (__builtin_mul_overflow(t->count, t->shape[i], &t->count))
            return bad_tensor(e, name, "the number of elements overflows");
    }
    return 0;
}

static int read_offsets(const json_t *offsets, const char *name, const struct st_file *f, size_t data_start,
                        struct st_tensor *t, struct err *e)
{
    uint64_t begin, end, bytes;
    if (json_array_size(offsets) != 2 || !read_size(json_array_get(offsets, 0), &begin) ||
        !read_size(json_array_get(offsets, 1), &end))
        return bad_tensor(e, name, "data_offsets is not two integers >= 0");
    if (begin > end || end > f->len - data_start)
        return bad_tensor(e, name, "data_offsets lie outside the file");
    if (__builtin_mul_overflow(t->count, (uint64_t)st_dtype_size(t->dtype), &bytes))
        return bad_tensor(e, name, "the size in bytes overflows");
    if (bytes != end - begin)
        return bad_tensor(e, name, "shape and dtype do not give the size that data_offsets say");
    t->data = f->data + data_start + begin;
    t->bytes = (size_t)bytes;
    return 0;
}

static int read_tensor(const char *name, const json_t *v, const struct st_file *f, size_t data_start,
                       struct st_tensor *t, struct err *e)
{
    const char *word = json_string_value(json_object_get(v, "dtype"));
    if (!json_is_object(v) || json_object_size(v) != 3 || !word)
        return bad_tensor(e, name, "the entry is not {dtype, shape, data_offsets}");
    int dtype = st_dtype_parse(word);
    if (dtype < 0)
        return bad_tensor(e, name, "the dtype is not known");
    t->dtype = (enum st_dtype)dtype;
    int rc = read_shape(json_object_get(v, "shape"), name, t, e);
    if (!rc)
        rc = read_offsets(json_object_get(v, "data_offsets"), name, f, data_start, t, e);
    if (rc)
        return rc;
    t->name = strdup(name);
    return t->name ? 0 : err_set(e, FERR_NO_MEMORY, "no memory for a tensor's name");
}

/* Empty tensors sort before the one that starts where they are. */
static int compare_offsets(const void *a, const void *b)
{
    const struct st_tensor *x = a, *y = b;
    if (x->data != y->data)
        return (const char *)x->data < (const char *)y->data ? -1 : 1;
    if (x->bytes != y->bytes)
        return x->bytes < y->bytes ? -1 : 1;
    return strcmp(x->name, y->name);
}

static int compare_names(const void *a, const void *b)
{
    const struct st_tensor *const *x = a, *const *y = b;
    return strcmp((*x)->name, (*y)->name);
}

/* The tensors must tile the data: no gap (bytes that nobody accounts for), no overlap. */
static int check_tiling(const struct st_file *f, size_t data_start, struct err *e)
{
    const unsigned char *expected = f->data + data_start;
    for (size_t i = 0; i < f->n; i++) {
        const unsigned char *begin = f->tensors[i].data;
        if (begin != expected)
            return bad_tensor(e, f->tensors[i].name,
                              begin < expected ? "its data overlaps another's" : "a gap precedes its data");
        expected = begin + f->tensors[i].bytes;
    }
    if (expected != f->data + f->len)
        return err_set(e, FERR_INVALID_TENSORS, "%zu bytes follow the last tensor",
                       (size_t)(f->data + f->len - expected));
    return 0;
}

static int read_tensors(struct st_file *f, json_t *header, size_t data_start, size_t limit, struct err *e)
{
    if (json_object_size(header) > limit + 1)
        return err_set(e, FERR_INVALID_TENSORS, "the file holds more than %zu tensors", limit);
    size_t room = json_object_size(header) + 1;
    f->tensors = calloc(room, sizeof *f->tensors);
    f->by_name = calloc(room, sizeof *f->by_name);
    if (!f->tensors || !f->by_name)
        return err_set(e, FERR_NO_MEMORY, "no memory for %zu tensors", room);
    const char *name;
    json_t *v;
    json_object_foreach(header, name, v)
    {
        if (strcmp(name, "__metadata__") == 0)
            continue;
        int rc = read_tensor(name, v, f, data_start, &f->tensors[f->n], e);
        if (rc)
            return rc;
        f->n++;
    }
    qsort(f->tensors, f->n, sizeof *f->tensors, compare_offsets);
    for (size_t i = 0; i < f->n; i++)
        f->by_name[i] = &f->tensors[i];
    qsort(f->by_name, f->n, sizeof(const struct st_tensor *), compare_names);
    return check_tiling(f, data_start, e);
}

static int read_file(struct st_file *f, const struct st_limits *limits, struct err *e)
{
    struct st_limits l = effective_limits(limits);
    if (f->len > l.file_bytes)
        return err_set(e, FERR_INVALID_TENSORS, "the file is larger than %zu bytes", l.file_bytes);
    if (f->len < PREFIX)
        return err_set(e, FERR_INVALID_TENSORS, "the file is shorter than its length prefix");
    uint64_t n;
    memcpy(&n, f->data, sizeof n);
    if (n > l.header_bytes)
        return err_set(e, FERR_INVALID_TENSORS, "the header is longer than %zu bytes", l.header_bytes);
    if (n > f->len - PREFIX)
        return err_set(e, FERR_INVALID_TENSORS, "the header is longer than the file");
    json_t *header;
    int rc = parse_header((const char *)f->data + PREFIX, (size_t)n, l.tensors, &header, e);
    if (rc)
        return rc;
    rc = read_tensors(f, header, PREFIX + (size_t)n, l.tensors, e);
    json_decref(header);
    return rc;
}

static int open_bytes(const unsigned char *data, size_t len, bool mapped, const struct st_limits *limits,
                      struct st_file **out, struct err *e)
{
    *out = NULL;
    struct st_file *f = calloc(1, sizeof *f);
    if (!f) {
        if (mapped)
            (void)munmap((void *)(uintptr_t)data, len);
        return err_set(e, FERR_NO_MEMORY, "no memory for a tensor file");
    }
    *f = (struct st_file){.data = data, .len = len, .mapped = mapped};
    int rc = read_file(f, limits, e);
    if (rc) {
        st_close(f);
        return rc;
    }
    *out = f;
    return 0;
}

int st_open(int fd, const struct st_limits *limits, struct st_file **out, struct err *e)
{
    *out = NULL;
    struct stat st;
    if (fstat(fd, &st) != 0)
        return err_errno(e, errno, "cannot look at a tensor file");
    if (!S_ISREG(st.st_mode))
        return err_set(e, FERR_INVALID_TENSORS, "the tensors are not in a regular file");
    if (st.st_size < PREFIX)
        return err_set(e, FERR_INVALID_TENSORS, "the file is shorter than its length prefix");
    if ((size_t)st.st_size > effective_limits(limits).file_bytes)
        return err_set(e, FERR_INVALID_TENSORS, "the file is larger than %zu bytes",
                       effective_limits(limits).file_bytes);
    size_t len = (size_t)st.st_size;
    const void *data = mmap(NULL, len, PROT_READ, MAP_PRIVATE, fd, 0);
    if (data == MAP_FAILED)
        return err_errno(e, errno, "cannot map a tensor file");
    return open_bytes(data, len, true, limits, out, e);
}

int st_open_memory(const void *data, size_t len, const struct st_limits *limits, struct st_file **out,
                   struct err *e)
{
    return open_bytes(data, len, false, limits, out, e);
}

void st_close(struct st_file *f)
{
    if (!f)
        return;
    /* while reading fails, the entry after the last complete one has no name yet */
    for (size_t i = 0; f->tensors && i < f->n; i++)
        free((char *)(uintptr_t)f->tensors[i].name);
    free(f->tensors);
    free(f->by_name);
    if (f->mapped)
        (void)munmap((void *)(uintptr_t)f->data, f->len);
    free(f);
}

size_t st_count(const struct st_file *f)
{
    return f->n;
}

const struct st_tensor *st_at(const struct st_file *f, size_t i)
{
    return &f->tensors[i];
}

const struct st_tensor *st_by_name(const struct st_file *f, size_t i)
{
    return f->by_name[i];
}

/* The first tensor in the order of names that is not before `name`. */
static size_t lower_bound(const struct st_file *f, const char *name)
{
    size_t low = 0, high = f->n;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (strcmp(f->by_name[mid]->name, name) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

const struct st_tensor *st_find(const struct st_file *f, const char *name)
{
    size_t i = lower_bound(f, name);
    return i < f->n && strcmp(f->by_name[i]->name, name) == 0 ? f->by_name[i] : NULL;
}

size_t st_prefix(const struct st_file *f, const char *prefix, size_t *first)
{
    size_t len = strlen(prefix);
    *first = lower_bound(f, prefix);
    size_t end = *first;
    while (end < f->n && strncmp(f->by_name[end]->name, prefix, len) == 0)
        end++;
    return end - *first;
}
