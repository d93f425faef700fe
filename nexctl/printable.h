/* Texts of nexd's answers, made safe for a terminal: some of them were written by the control plane, or by a
 * peer. */
#ifndef NEXD_NEXCTL_PRINTABLE_H
#define NEXD_NEXCTL_PRINTABLE_H

#include <stdbool.h>
#include <stdio.h>

/* In place: each byte of a control character, C1 ones (U+0080 to U+009F) included, becomes "?"; newlines stay
 * with `lines`. NULL stays NULL. */
void printable_make(char *text, bool lines);

/* In double quotes, as JSON and YAML read them alike: control characters as \uHHHH. */
void printable_quote(FILE *out, const char *text);

/* A C1 control character, of two bytes, stands here. */
bool printable_is_c1(const char *text);

#endif
