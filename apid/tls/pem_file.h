/* Files of the data folder that hold keys and certificates: read whole, replaced whole. apid only. */
#ifndef NEXD_APID_PEM_FILE_H
#define NEXD_APID_PEM_FILE_H

#include <stddef.h>
#include <sys/types.h>

enum { PEM_FILE_MAX = 65536, PEM_PATH_MAX = 4096 };

/* Reads at most PEM_FILE_MAX bytes; *text is terminated, and freed with pem_file_free(), which wipes it.
 * NX_ENOENT: no such file; NX_ESYS; NX_ERANGE: too large; NX_ENOMEM. */
int pem_file_read(const char *path, char **text, size_t *length);
void pem_file_free(char *text, size_t length);

/* Writes beside it, flushes to the disk and renames over it, so that after a loss of power there is the old
 * content or the new. NX_ESYS; NX_ERANGE: path too long. */
int pem_file_write(const char *path, const char *text, size_t length, mode_t mode);

/* `folder`/`name`; NX_ERANGE if it does not fit. */
int pem_path(char out[PEM_PATH_MAX], const char *folder, const char *name);

#endif
