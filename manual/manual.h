/* Manual pages and shell completions, made from the tables that the programs themselves parse with, so that
 * they cannot say anything else. Runs at build time only. */
#ifndef NEXD_MANUAL_MANUAL_H
#define NEXD_MANUAL_MANUAL_H

#include <stdio.h>

/* Copies a template of a manual page; lines "@NAME@" are replaced, @VERSION@ anywhere. 0, or -1 with a
 * message on standard error. */
int page_print(FILE *out, const char *template_path);

void bash_nexd_print(FILE *out);
void bash_nexctl_print(FILE *out);
void zsh_nexd_print(FILE *out);
void zsh_nexctl_print(FILE *out);
void fish_nexd_print(FILE *out);
void fish_nexctl_print(FILE *out);

#endif
