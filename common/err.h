/* The project's error codes. Every function that can fail returns NX_OK or one of the negative codes below;
 * where NX_ESYS is returned, errno tells the cause. Any process, any thread. */
#ifndef NEXD_COMMON_ERR_H
#define NEXD_COMMON_ERR_H

enum nx_err {
    NX_OK = 0,
    NX_EINVAL = -1,   /* malformed input */
    NX_ENOMEM = -2,   /* out of memory, or a configured bound is reached */
    NX_EAGAIN = -3,   /* cannot be done now; a later event will tell */
    NX_EPROTO = -4,   /* the other side broke the protocol */
    NX_ERANGE = -5,   /* a value or length is outside its limits */
    NX_EEXIST = -6,   /* already there */
    NX_ENOENT = -7,   /* no such thing */
    NX_EPERM = -8,    /* not allowed by policy or rights */
    NX_ESYS = -9,     /* a system call failed; see errno */
    NX_ECLOSED = -10, /* the other side has closed */
    NX_ECRYPTO = -11, /* authentication failed */
    NX_ETIMEDOUT = -12,
    NX_ENOTSUP = -13, /* this build or kernel lacks it */
};

/* Short lower-case text for a code; never NULL. */
const char *nx_strerror(int err);

#endif
