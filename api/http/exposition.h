/* Prometheus' text format, version 0.0.4 (https://prometheus.io/docs/instrumenting/exposition_formats/). Pure. */
#ifndef NEL_API_HTTP_EXPOSITION_H
#define NEL_API_HTTP_EXPOSITION_H

#include "base/str.h"

#include <stdint.h>

#define EXPOSITION_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* Appends the two lines that begin a metric; type is "counter", "gauge" or "histogram". */
void exposition_metric(struct str *s, const char *name, const char *type, const char *help);

/* Appends one sample. labels: pairs of names and values, ending with NULL; NULL: none. */
void exposition_sample(struct str *s, const char *name, const char *const *labels, double value);

/* A metric with one sample. */
void exposition_single(struct str *s, const char *name, const char *type, const char *help, double value);

#endif
