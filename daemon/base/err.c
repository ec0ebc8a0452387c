#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void replace_control_characters(char *s)
{
	for (; *s != '\0'; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			*s = ' ';
}

__attribute__((format(printf, 4, 0))) static void fill(struct nel_err *err, enum nel_err_kind kind, int sys,
						       const char *fmt, va_list ap)
{
	if (err == NULL)
		return;
	err->kind = kind;
	err->reason = NEL_REASON_NONE;
	err->sys = sys;
	vsnprintf(err->msg, sizeof err->msg, fmt, ap);
	if (sys != 0) {
		size_t len = strlen(err->msg);
		snprintf(err->msg + len, sizeof err->msg - len, ": %s", strerror(sys));
	}
	replace_control_characters(err->msg);
}

int err_set(struct nel_err *err, enum nel_err_kind kind, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	fill(err, kind, 0, fmt, ap);
	va_end(ap);
	return -1;
}

int err_sys(struct nel_err *err, enum nel_err_kind kind, int sys, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	fill(err, kind, sys, fmt, ap);
	va_end(ap);
	return -1;
}

int err_prefix(struct nel_err *err, const char *fmt, ...)
{
	if (err == NULL)
		return -1;
	char text[NEL_ERR_MSG_MAX];
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	size_t len = n < 0 ? 0 : (size_t)n < sizeof text ? (size_t)n : sizeof text - 1;
	text[len] = '\0';
	char whole[NEL_ERR_MSG_MAX];
	size_t room = sizeof whole;
	/* Truncation of a very long message is fine: its beginning, the newest context, is kept. */
	size_t at = 0;
	const char *parts[] = {text, ": ", err->msg};
	for (size_t i = 0; i < 3; i++) {
		size_t part = strlen(parts[i]);
		if (part > room - 1 - at)
			part = room - 1 - at;
		memcpy(whole + at, parts[i], part);
		at += part;
	}
	whole[at] = '\0';
	memcpy(err->msg, whole, at + 1);
	replace_control_characters(err->msg);
	return -1;
}

int err_because(struct nel_err *err, enum nel_err_kind kind, enum nel_err_reason reason)
{
	if (err != NULL && err->kind == kind)
		err->reason = reason;
	return -1;
}

int err_as(struct nel_err *err, enum nel_err_kind kind)
{
	if (err != NULL) {
		err->kind = kind;
		err->reason = NEL_REASON_NONE;
	}
	return -1;
}

const char *err_kind_name(enum nel_err_kind kind)
{
	switch (kind) {
	case NEL_OK: return "ok";
	case NEL_INVALID: return "invalid";
	case NEL_NOTFOUND: return "not found";
	case NEL_CONFLICT: return "conflict";
	case NEL_DENIED: return "denied";
	case NEL_BUSY: return "busy";
	case NEL_REMOTE: return "remote";
	case NEL_DB: return "database";
	case NEL_NOMEM: return "out of memory";
	case NEL_INTERNAL: return "internal";
	}
	return "unknown";
}
