/* A job's samples as one blob of the store: by column, differences where there is an order, compressed (zlib). 100,000
 * samples of right and wrong are some 400 KB, of which nearly all are the hashes of what was asked. PURE.
 *
 * A column of values has at most 255 different ones, which are kept as they are, or is kept in single precision. */
#ifndef NEL_SLURM_SAMPLES_PACK_H
#define NEL_SLURM_SAMPLES_PACK_H

#include "base/err.h"
#include "slurm/samples.h"

#define SAMPLES_PACKED_MAX (256 * 1024 * 1024) /* bytes before compression */

/* free() *ret_data. INVALID: more than SAMPLES_PACKED_MAX. */
int samples_pack(const struct samples *samples, char **ret_data, size_t *ret_size, struct nel_err *err);

/* INVALID: it is none of samples_pack(), or is damaged. */
int samples_unpack(const char *data, size_t size, struct samples *ret_samples, struct nel_err *err);

#endif
