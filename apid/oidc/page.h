/* The page on which a person approves or denies a device: one form, no script, no outside resources.
 *
 * Cross-site requests: the form carries a random value that is also a cookie (SameSite=Strict, HttpOnly,
 * __Host- prefix); a post counts only if both are equal. Nothing is remembered between two posts: name and
 * password come with each. apid only. */
#ifndef NEXD_APID_OIDC_PAGE_H
#define NEXD_APID_OIDC_PAGE_H

#include "apid/http/server.h"

enum { PAGE_TOKEN_MAX = 44 };
#define PAGE_COOKIE "__Host-apid-form"

/* The form, with `user_code` filled in and `problem` shown; both may be NULL. `action` is the path it posts
 * to. */
void page_form_reply(struct http_request *request, int status, const char *action, const char *user_code,
                     const char *problem);
/* What came of it. */
void page_message_reply(struct http_request *request, int status, const char *title, const char *message);
/* Whether the form's value is that of the request's cookie. */
bool page_token_check(const struct http_request *request, const char *value);

#endif
