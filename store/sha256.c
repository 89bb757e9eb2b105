/*
 * sha256.c: the names of blobs, by OpenSSL's libcrypto.
 *
 * Any thread. Fatal: that libcrypto offers no SHA-256 or no memory for its few hundred bytes of state, for
 * then nothing can be named.
 */
#include "store/sha256.h"

#include "store/store.h"

#include <assert.h>
#include <openssl/evp.h>

#define DIGEST_SIZE 32

struct evp_md_ctx_st *sha256_new(void)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    assert(ctx);
    int ok = EVP_DigestInit_ex(ctx, EVP_sha256(), NULL);
    assert(ok == 1);
    return ctx;
}

void sha256_add(struct evp_md_ctx_st *ctx, const void *data, size_t len)
{
    int ok = EVP_DigestUpdate(ctx, data, len);
    assert(ok == 1);
}

void sha256_end(struct evp_md_ctx_st *ctx, char sha[STORE_SHA_SIZE])
{
    static const char HEX[] = "0123456789abcdef";
    unsigned char digest[DIGEST_SIZE];
    int ok = EVP_DigestFinal_ex(ctx, digest, NULL);
    assert(ok == 1);
    EVP_MD_CTX_free(ctx);
    for (size_t i = 0; i < DIGEST_SIZE; i++) {
        sha[2 * i] = HEX[digest[i] >> 4];
        sha[2 * i + 1] = HEX[digest[i] & 15];
    }
    sha[2 * DIGEST_SIZE] = '\0';
}

void store_sha256(const void *data, size_t len, char sha[STORE_SHA_SIZE])
{
    struct evp_md_ctx_st *ctx = sha256_new();
    sha256_add(ctx, data, len);
    sha256_end(ctx, sha);
}

bool sha256_valid(const char *sha)
{
    size_t n = 0;
    while (sha[n] && ((sha[n] >= '0' && sha[n] <= '9') || (sha[n] >= 'a' && sha[n] <= 'f')))
        n++;
    return n == STORE_SHA_SIZE - 1 && sha[n] == '\0';
}
