#include "slurm/samples_pack.h"

#include "base/mem.h"
#include "base/str.h"

#include <math.h>
#include <string.h>
#include <zlib.h>

#define MAGIC "nsp1"
#define HEAD_SIZE (sizeof MAGIC - 1 + sizeof(uint32_t)) /* and how large it is unpacked, least byte first */
#define DISTINCT_MAX 255
#define SINGLE_PRECISION 0 /* in the place of how many different values there are */

enum column { COLUMN_ID, COLUMN_REPEAT, COLUMN_LINE, COLUMN_COUNT };

struct reading {
	const char *at;
	const char *end;
	bool damaged;
};

static void put_number(struct str *out, uint64_t number)
{
	for (; number >= 0x80; number >>= 7)
		str_append_c(out, (char)(number | 0x80));
	str_append_c(out, (char)number);
}

static uint64_t get_number(struct reading *reading)
{
	uint64_t number = 0;
	for (unsigned shift = 0; shift < 64 && reading->at < reading->end; shift += 7) {
		unsigned char byte = (unsigned char)*reading->at++;
		number |= (uint64_t)(byte & 0x7f) << shift;
		if (byte < 0x80)
			return number;
	}
	reading->damaged = true;
	return 0;
}

static void put_text(struct str *out, const char *text)
{
	put_number(out, strlen(text));
	str_append(out, text);
}

static const char *get_bytes(struct reading *reading, size_t size)
{
	const char *bytes = reading->at;
	if (reading->damaged || size > (size_t)(reading->end - reading->at)) {
		reading->damaged = true;
		return NULL;
	}
	reading->at += size;
	return bytes;
}

static char *get_text(struct reading *reading, size_t max)
{
	uint64_t size = get_number(reading);
	const char *bytes = size > max ? NULL : get_bytes(reading, (size_t)size);
	reading->damaged = reading->damaged || bytes == NULL || memchr(bytes, '\0', (size_t)size) != NULL;
	return reading->damaged ? mem_strdup("") : mem_dup(bytes, (size_t)size);
}

static uint64_t column_value(const struct sample *row, enum column column)
{
	switch (column) {
	case COLUMN_ID: return (uint64_t)row->id;
	case COLUMN_REPEAT: return row->repeat;
	case COLUMN_LINE:
	case COLUMN_COUNT: break;
	}
	return row->line;
}

static void put_rows(struct str *out, const struct sample_set *set)
{
	for (int column = 0; column < COLUMN_COUNT; column++) {
		uint64_t last = 0;
		for (size_t i = 0; i < set->count; i++) {
			uint64_t value = column_value(&set->rows[i], (enum column)column);
			uint64_t step = value - last; /* of two's complement: its sign goes to the lowest bit */
			put_number(out, step << 1 ^ (step >> 63 != 0 ? UINT64_MAX : 0));
			last = value;
		}
	}
	for (size_t byte = 0; byte < sizeof set->rows->hash; byte++)
		for (size_t i = 0; i < set->count; i++)
			str_append_c(out, (char)(set->rows[i].hash >> 8 * byte));
}

static void get_rows(struct reading *reading, struct sample_set *set)
{
	for (int column = 0; column < COLUMN_COUNT; column++) {
		uint64_t value = 0;
		for (size_t i = 0; i < set->count && !reading->damaged; i++) {
			uint64_t step = get_number(reading);
			value += step >> 1 ^ (step & 1 ? UINT64_MAX : 0);
			if (column == COLUMN_ID)
				set->rows[i].id = (int64_t)value;
			else if (column == COLUMN_REPEAT)
				set->rows[i].repeat = (uint32_t)value;
			else
				set->rows[i].line = (uint32_t)value;
		}
	}
	for (size_t byte = 0; byte < sizeof set->rows->hash; byte++) {
		const char *bytes = get_bytes(reading, set->count);
		for (size_t i = 0; i < set->count && bytes != NULL; i++)
			set->rows[i].hash |= (uint32_t)(unsigned char)bytes[i] << 8 * byte;
	}
}

/* The values' bits: NAN is one of them, and no two of it differ. */
static uint64_t bits_of(double value)
{
	uint64_t bits;
	double one = isnan(value) ? NAN : value;
	memcpy(&bits, &one, sizeof bits);
	return bits;
}

/* How many different values there are, up to DISTINCT_MAX + 1; places: which of them each is. */
static size_t find_distinct(const double *values, size_t count, uint64_t distinct[DISTINCT_MAX], unsigned char *places)
{
	size_t found = 0;
	for (size_t i = 0; i < count; i++) {
		uint64_t bits = bits_of(values[i]);
		size_t place = 0;
		while (place < found && distinct[place] != bits)
			place++;
		if (place == DISTINCT_MAX)
			return DISTINCT_MAX + 1;
		if (place == found)
			distinct[found++] = bits;
		places[i] = (unsigned char)place;
	}
	return found;
}

static void put_values(struct str *out, const double *values, size_t count)
{
	uint64_t distinct[DISTINCT_MAX];
	CLEANUP(mem_freep) unsigned char *places = mem_calloc(count + 1, 1);
	size_t found = find_distinct(values, count, distinct, places);
	if (found > 0 && found <= DISTINCT_MAX) {
		put_number(out, found);
		for (size_t i = 0; i < found; i++)
			for (unsigned byte = 0; byte < sizeof distinct[i]; byte++)
				str_append_c(out, (char)(distinct[i] >> 8 * byte));
		str_append_n(out, places, count);
		return;
	}
	put_number(out, SINGLE_PRECISION);
	for (unsigned byte = 0; byte < sizeof(float); byte++)
		for (size_t i = 0; i < count; i++) {
			float value = (float)values[i];
			uint32_t bits;
			memcpy(&bits, &value, sizeof bits);
			str_append_c(out, (char)(bits >> 8 * byte));
		}
}

static void get_single(struct reading *reading, double *values, size_t count)
{
	const char *planes = get_bytes(reading, sizeof(float) * count);
	for (size_t i = 0; i < count && planes != NULL; i++) {
		uint32_t bits = 0;
		float value;
		for (size_t byte = 0; byte < sizeof value; byte++)
			bits |= (uint32_t)(unsigned char)planes[byte * count + i] << 8 * byte;
		memcpy(&value, &bits, sizeof value);
		values[i] = isfinite(value) ? (double)value : NAN;
	}
}

static void get_values(struct reading *reading, double *values, size_t count)
{
	double distinct[DISTINCT_MAX];
	uint64_t found = get_number(reading);
	if (found == SINGLE_PRECISION) {
		get_single(reading, values, count);
		return;
	}
	const char *bytes = found > DISTINCT_MAX ? NULL : get_bytes(reading, sizeof(uint64_t) * (size_t)found);
	const char *places = bytes == NULL ? NULL : get_bytes(reading, count);
	reading->damaged = reading->damaged || places == NULL;
	for (size_t i = 0; i < found && !reading->damaged; i++) {
		uint64_t bits = 0;
		for (size_t byte = 0; byte < sizeof bits; byte++)
			bits |= (uint64_t)(unsigned char)bytes[sizeof bits * i + byte] << 8 * byte;
		memcpy(&distinct[i], &bits, sizeof bits);
	}
	for (size_t i = 0; i < count && !reading->damaged; i++) {
		reading->damaged = (unsigned char)places[i] >= found;
		values[i] = reading->damaged ? NAN : distinct[(unsigned char)places[i]];
	}
}

static void put_set(struct str *out, const struct sample_set *set)
{
	put_text(out, set->file);
	put_text(out, set->task);
	put_text(out, set->filter);
	put_number(out, set->named);
	put_number(out, set->count);
	put_number(out, set->metric_count);
	put_rows(out, set);
	for (size_t i = 0; i < set->metric_count; i++) {
		put_text(out, set->metrics[i]);
		put_values(out, set->values[i], set->count);
	}
}

static void get_set(struct reading *reading, struct samples *samples)
{
	samples->sets = mem_realloc(samples->sets, samples->set_count + 1, sizeof *samples->sets);
	struct sample_set *set = &samples->sets[samples->set_count++];
	*set = (struct sample_set){0};
	set->file = get_text(reading, SAMPLES_FILE_MAX);
	set->task = get_text(reading, SAMPLES_FILE_MAX);
	set->filter = get_text(reading, SAMPLE_NAME_MAX);
	set->named = get_number(reading) != 0;
	uint64_t count = get_number(reading), metrics = get_number(reading);
	/* A row has at least a byte of each column. */
	if (reading->damaged || metrics > SAMPLE_METRICS_MAX || samples->count + count > SAMPLES_KEEP_ROWS_MAX ||
	    count > (uint64_t)(reading->end - reading->at)) {
		reading->damaged = true;
		return;
	}
	set->count = set->capacity = (size_t)count;
	set->rows = mem_calloc(set->count + 1, sizeof *set->rows);
	samples->count += set->count;
	get_rows(reading, set);
	while (set->metric_count < metrics && !reading->damaged) {
		set->metrics[set->metric_count] = get_text(reading, SAMPLE_NAME_MAX);
		double *values = set->values[set->metric_count++] = mem_calloc(set->count + 1, sizeof *values);
		get_values(reading, values, set->count);
	}
}

int samples_pack(const struct samples *samples, char **ret_data, size_t *ret_size, struct nel_err *err)
{
	CLEANUP(str_done) struct str plain = {0};
	put_number(&plain, samples->left_out);
	put_number(&plain, samples->spoilt);
	put_number(&plain, samples->set_count);
	for (size_t i = 0; i < samples->set_count; i++) {
		put_set(&plain, &samples->sets[i]);
		if (plain.len > SAMPLES_PACKED_MAX)
			return err_set(err, NEL_INVALID, "the samples are more than %d MB", SAMPLES_PACKED_MAX >> 20);
	}
	uLongf packed = compressBound(plain.len);
	CLEANUP(mem_freep) char *data = mem_calloc(HEAD_SIZE + packed, 1);
	memcpy(data, MAGIC, sizeof MAGIC - 1);
	for (size_t byte = 0; byte < sizeof(uint32_t); byte++)
		data[sizeof MAGIC - 1 + byte] = (char)(plain.len >> 8 * byte);
	if (compress((Bytef *)data + HEAD_SIZE, &packed, (const Bytef *)plain.data, plain.len) != Z_OK)
		return err_set(err, NEL_INTERNAL, "zlib cannot compress %zu bytes", plain.len);
	*ret_data = TAKE(data);
	*ret_size = HEAD_SIZE + packed;
	return 0;
}

int samples_unpack(const char *data, size_t size, struct samples *ret_samples, struct nel_err *err)
{
	uint32_t plain_size = 0;
	if (size < HEAD_SIZE || memcmp(data, MAGIC, sizeof MAGIC - 1) != 0)
		return err_set(err, NEL_INVALID, "the stored samples are of no known form");
	for (size_t byte = 0; byte < sizeof plain_size; byte++)
		plain_size |= (uint32_t)(unsigned char)data[sizeof MAGIC - 1 + byte] << 8 * byte;
	/* Deflate packs at most 1032 to 1: a size that cannot be is not allocated. */
	if (plain_size > SAMPLES_PACKED_MAX || plain_size / 1032 > size)
		return err_set(err, NEL_INVALID, "the stored samples are damaged");
	uLongf found = plain_size;
	CLEANUP(mem_freep) char *plain = mem_calloc((size_t)plain_size + 1, 1);
	if (uncompress((Bytef *)plain, &found, (const Bytef *)data + HEAD_SIZE, size - HEAD_SIZE) != Z_OK ||
	    found != plain_size)
		return err_set(err, NEL_INVALID, "the stored samples are damaged");
	struct reading reading = {plain, plain + plain_size, false};
	CLEANUP(samples_done) struct samples samples = {0};
	samples.left_out = (size_t)get_number(&reading);
	samples.spoilt = (size_t)get_number(&reading);
	uint64_t sets = get_number(&reading);
	reading.damaged = reading.damaged || sets > SAMPLES_SETS_MAX;
	while (samples.set_count < sets && !reading.damaged)
		get_set(&reading, &samples);
	if (reading.damaged || reading.at != reading.end)
		return err_set(err, NEL_INVALID, "the stored samples are damaged");
	*ret_samples = samples;
	samples = (struct samples){0};
	return 0;
}
