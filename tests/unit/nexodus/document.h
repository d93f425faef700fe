/* What the tests of the codec share: documents from text and from recorded answers. */
#ifndef NEXD_TESTS_NEXODUS_DOCUMENT_H
#define NEXD_TESTS_NEXODUS_DOCUMENT_H

#include "ctld/nexodus/json.h"

/* The root of this text, which must be sound; lives until the next call or document_end(). */
const struct json_value *document(const char *text);
/* The same of a file in tests/fixtures/nexodus. */
const struct json_value *document_file(const char *name);
void document_end(void);

/* The whole file, terminated; the caller frees. `length` may be NULL. */
char *fixture(const char *name, size_t *length);

/* Have the two texts the same JSON meaning? Members may stand in any order. */
bool json_same(const char *a, const char *b);

#endif
