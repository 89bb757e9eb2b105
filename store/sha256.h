/*
 * sha256.h: SHA-256 piece by piece. Any thread; a context belongs to one.
 */
#ifndef FERRY_STORE_SHA256_H
#define FERRY_STORE_SHA256_H

#include "store/store.h"

struct evp_md_ctx_st; /* OpenSSL's EVP_MD_CTX */

struct evp_md_ctx_st *sha256_new(void);
void sha256_add(struct evp_md_ctx_st *ctx, const void *data, size_t len);
/* Writes the hex digest and frees the context. */
void sha256_end(struct evp_md_ctx_st *ctx, char sha[STORE_SHA_SIZE]);
/* 64 lower-case hex digits. */
bool sha256_valid(const char *sha);

#endif
