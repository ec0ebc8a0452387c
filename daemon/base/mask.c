/* Aho and Corasick's automaton, one for each way to read the text ("Efficient string matching", CACM 18, 1975). */
#include "base/mask.h"

#include "base/mem.h"

#include <sodium.h>
#include <stdint.h>
#include <string.h>

#define STARS "****"
#define ROOT 0

_Static_assert(sizeof STARS - 1 <= MASK_VALUE_MIN, "a masked text grows");

/* How bytes are read as the symbols that are looked for. */
enum view {
	VIEW_PLAIN, /* control characters are spaces, as what cleans a text makes them */
	VIEW_URL,   /* %41 is A, and + a space */
	VIEW_BASE64 /* line breaks are skipped, - is + and _ is / */
};
#define VIEW_COUNT 3

struct node {
	uint32_t child;   /* the first; 0 none */
	uint32_t sibling; /* the next; 0 none */
	uint32_t fail;    /* the longest end of this node's text that is a node, too */
	uint32_t depth;
	uint32_t found; /* length of the longest pattern that ends here; 0 none */
	unsigned char symbol;
};

struct automaton {
	struct node *nodes; /* sized once, so that no copy stays behind */
	size_t node_count;
	unsigned char *patterns; /* one behind the other */
	size_t pattern_bytes;
	size_t *ends; /* of each */
	size_t pattern_count;
	size_t longest;
	uint32_t first[256]; /* the root's children */
};

struct mask {
	struct automaton views[VIEW_COUNT];
};

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool is_escape(const char *text, size_t at, size_t size)
{
	return text[at] == '%' && size - at > 2 && hex_digit(text[at + 1]) >= 0 && hex_digit(text[at + 2]) >= 0;
}

static unsigned char fold(enum view view, char c)
{
	if (view == VIEW_PLAIN && ((unsigned char)c < 0x20 || c == 0x7f))
		return ' ';
	if (view == VIEW_URL && c == ' ')
		return '+';
	if (view == VIEW_BASE64 && c == '-')
		return '+';
	return (unsigned char)(view == VIEW_BASE64 && c == '_' ? '/' : c);
}

/* The symbol at text[at] and how many bytes it has; false for what is skipped. */
static bool read_symbol(enum view view, const char *text, size_t at, size_t size, unsigned char *symbol, size_t *width)
{
	*width = 1;
	if (view == VIEW_BASE64 && (text[at] == '\n' || text[at] == '\r'))
		return false;
	if (view == VIEW_URL && is_escape(text, at, size)) {
		*width = 3;
		*symbol = fold(view, (char)(hex_digit(text[at + 1]) * 16 + hex_digit(text[at + 2])));
	} else {
		*symbol = fold(view, text[at]);
	}
	return true;
}

static void automaton_init(struct automaton *a, size_t bytes, size_t patterns)
{
	a->nodes = mem_calloc(bytes + 1, sizeof *a->nodes);
	a->node_count = 1;
	a->patterns = mem_calloc(bytes + 1, 1);
	a->ends = mem_calloc(patterns + 1, sizeof *a->ends);
}

static void automaton_done(struct automaton *a)
{
	sodium_memzero(a->nodes, a->node_count * sizeof *a->nodes);
	sodium_memzero(a->patterns, a->pattern_bytes);
	free(a->nodes);
	free(a->patterns);
	free(a->ends);
}

static uint32_t child_of(const struct automaton *a, uint32_t node, unsigned char symbol)
{
	if (node == ROOT)
		return a->first[symbol];
	uint32_t child = a->nodes[node].child;
	while (child != 0 && a->nodes[child].symbol != symbol)
		child = a->nodes[child].sibling;
	return child;
}

static uint32_t step(const struct automaton *a, uint32_t node, unsigned char symbol)
{
	uint32_t next = 0;
	while ((next = child_of(a, node, symbol)) == 0 && node != ROOT)
		node = a->nodes[node].fail;
	return next;
}

static void add_pattern(struct automaton *a, enum view view, const char *text, size_t size)
{
	if (size < MASK_VALUE_MIN)
		return;
	uint32_t node = ROOT;
	for (size_t i = 0; i < size; i++) {
		unsigned char symbol = fold(view, text[i]);
		uint32_t next = child_of(a, node, symbol);
		a->patterns[a->pattern_bytes++] = symbol;
		if (next == 0) {
			next = (uint32_t)a->node_count++;
			a->nodes[next] =
			    (struct node){.symbol = symbol, .depth = (uint32_t)i + 1, .sibling = a->nodes[node].child};
			a->nodes[node].child = next;
			if (node == ROOT)
				a->first[symbol] = next;
		}
		node = next;
	}
	a->nodes[node].found = (uint32_t)size;
	a->ends[a->pattern_count++] = a->pattern_bytes;
	if (size > a->longest)
		a->longest = size;
}

/* Breadth first, for a node's fail is always less deep. */
static void link_fails(struct automaton *a)
{
	CLEANUP(mem_freep) uint32_t *queue = mem_calloc(a->node_count, sizeof *queue);
	size_t count = 1; /* queue[0] is the root */
	for (size_t i = 0; i < count; i++) {
		uint32_t parent = queue[i];
		for (uint32_t child = a->nodes[parent].child; child != 0; child = a->nodes[child].sibling) {
			struct node *node = &a->nodes[child];
			node->fail = parent == ROOT ? ROOT : step(a, a->nodes[parent].fail, node->symbol);
			if (node->found == 0)
				node->found = a->nodes[node->fail].found;
			queue[count++] = child;
		}
	}
}

/* A value has three forms in base64, by its place modulo 3. Of each only those characters count that no byte before
 * or after the value has a part in. */
static void add_base64(struct automaton *a, const char *value, size_t size)
{
	size_t room = sodium_base64_encoded_len(size + 2, sodium_base64_VARIANT_ORIGINAL_NO_PADDING);
	char *shifted = mem_calloc(size + 3, 1);
	char *encoded = mem_calloc(room, 1);
	for (size_t before = 0; before < 3; before++) {
		memcpy(shifted + before, value, size);
		sodium_bin2base64(encoded, room, (unsigned char *)shifted, before + size,
				  sodium_base64_VARIANT_ORIGINAL_NO_PADDING);
		size_t begin = before == 0 ? 0 : before + 1;
		size_t end = (before + size) * 8 / 6;
		if (end > begin)
			add_pattern(a, VIEW_BASE64, encoded + begin, end - begin);
		memset(shifted, 0, before + 1);
	}
	sodium_memzero(shifted, size + 3);
	sodium_memzero(encoded, room);
	free(shifted);
	free(encoded);
}

/* As it stands between quotes in JSON, or where a program shows its text: these characters have a backslash before. */
static void add_escaped(struct mask *mask, const char *value, size_t size, const char *escaped)
{
	char *text = mem_calloc(2 * size + 1, 1);
	size_t length = 0;
	for (size_t i = 0; i < size; i++) {
		if (value[i] != '\0' && strchr(escaped, value[i]) != NULL)
			text[length++] = '\\';
		text[length++] = value[i];
	}
	if (length > size)
		add_pattern(&mask->views[VIEW_PLAIN], VIEW_PLAIN, text, length);
	sodium_memzero(text, length);
	free(text);
}

static void add_value(struct mask *mask, const char *value, size_t size)
{
	add_pattern(&mask->views[VIEW_PLAIN], VIEW_PLAIN, value, size);
	add_escaped(mask, value, size, "\"\\");
	add_escaped(mask, value, size, "\\");
	add_pattern(&mask->views[VIEW_URL], VIEW_URL, value, size);
	if (size >= MASK_VALUE_MIN)
		add_base64(&mask->views[VIEW_BASE64], value, size);
}

static void add_lines(struct mask *mask, const char *value, size_t size)
{
	for (size_t begin = 0; begin < size;) {
		const char *newline = memchr(value + begin, '\n', size - begin);
		size_t end = newline != NULL ? (size_t)(newline - value) : size;
		size_t length = end - begin;
		if (length > 0 && value[begin + length - 1] == '\r')
			length--;
		if (length < size)
			add_value(mask, value + begin, length);
		begin = end + 1;
	}
}

struct mask *mask_new(const json_t *values)
{
	struct mask *mask = mem_calloc(1, sizeof *mask);
	size_t bytes = 0;
	size_t count = 0;
	const char *name = NULL;
	json_t *value = NULL;
	json_t *object = (json_t *)(uintptr_t)values; /* jansson's loop wants it, and changes nothing */
	json_object_foreach(object, name, value) {
		const char *text = json_string_value(value);
		bytes += 2 * json_string_length(value);
		count++;
		for (; text != NULL && (text = strchr(text, '\n')) != NULL; text++)
			count++;
	}
	count *= 2;                                                     /* the whole and its lines */
	automaton_init(&mask->views[VIEW_PLAIN], 5 * bytes, 3 * count); /* escaped in two ways, too */
	automaton_init(&mask->views[VIEW_URL], bytes, count);
	automaton_init(&mask->views[VIEW_BASE64], 4 * bytes + 12 * count, 3 * count);
	json_object_foreach(object, name, value) {
		if (!json_is_string(value))
			continue;
		add_value(mask, json_string_value(value), json_string_length(value));
		add_lines(mask, json_string_value(value), json_string_length(value));
	}
	for (int i = 0; i < VIEW_COUNT; i++)
		link_fails(&mask->views[i]);
	return mask;
}

void mask_free(struct mask *mask)
{
	if (mask == NULL)
		return;
	for (int i = 0; i < VIEW_COUNT; i++)
		automaton_done(&mask->views[i]);
	free(mask);
}

/* With how many symbols the text goes on that a pattern ends with: Knuth, Morris and Pratt's way, with the text's
 * beginning as what is looked for, and the patterns' ends as where. */
static size_t begun_before(const struct automaton *a, enum view view, const char *text, size_t size)
{
	size_t most = a->longest > size ? size : a->longest > 0 ? a->longest - 1 : 0;
	CLEANUP(mem_freep) unsigned char *head = mem_calloc(most + 1, 1);
	CLEANUP(mem_freep) size_t *border = mem_calloc(most + 1, sizeof *border);
	size_t length = 0;
	size_t width = 0;
	for (size_t at = 0; at < size && length < most; at += width)
		if (read_symbol(view, text, at, size, &head[length], &width))
			length++;
	for (size_t i = 1, k = 0; i < length; i++) {
		while (k > 0 && head[k] != head[i])
			k = border[k - 1];
		k += head[k] == head[i];
		border[i] = k;
	}
	size_t longest = 0;
	for (size_t p = 0, begin = 0; length > 0 && p < a->pattern_count; begin = a->ends[p++]) {
		/* No longer than the text, and a proper end: the whole is found anyway. */
		size_t k = 0;
		size_t from = a->ends[p] - begin > length ? a->ends[p] - length : begin + 1;
		for (size_t i = from; i < a->ends[p]; i++) {
			while (k > 0 && (k == length || head[k] != a->patterns[i]))
				k = border[k - 1];
			k += head[k] == a->patterns[i];
		}
		longest = k > longest ? k : longest;
	}
	sodium_memzero(head, most + 1);
	return longest >= MASK_VALUE_MIN ? longest : 0;
}

/* found[i]: so many symbols, the last of which ends with text[i], are to be masked. */
static bool find(const struct automaton *a, enum view view, const char *text, size_t size, bool cut, uint32_t *found)
{
	size_t head = cut ? begun_before(a, view, text, size) : 0;
	size_t count = 0;
	size_t last = 0;
	uint32_t node = ROOT;
	bool any = false;
	size_t width = 0;
	for (size_t at = 0; at < size; at += width) {
		unsigned char symbol = 0;
		if (!read_symbol(view, text, at, size, &symbol, &width))
			continue;
		last = at + width - 1;
		node = step(a, node, symbol);
		count++;
		found[last] = a->nodes[node].found;
		if (count == head && head > found[last])
			found[last] = (uint32_t)head;
		any = any || found[last] > 0;
	}
	if (cut && count > 0 && a->nodes[node].depth >= MASK_VALUE_MIN) { /* a value that goes on behind the end */
		if (a->nodes[node].depth > found[last])
			found[last] = a->nodes[node].depth;
		any = true;
	}
	return any;
}

static bool is_base64(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' || c == '/' ||
	       c == '-' || c == '_';
}

/* The characters beside a value in base64 have some of its bits. */
static void widen_base64(const char *text, size_t size, char *marks)
{
	for (size_t i = 0; i < size; i++) {
		bool marked = marks[i] == VIEW_BASE64 + 1;
		if (marked && i > 0 && marks[i - 1] == 0 && is_base64(text[i - 1]))
			marks[i - 1] = 1;
		if (!marked || i + 1 == size || marks[i + 1] != 0)
			continue;
		size_t end = i + 1;
		if (is_base64(text[end]))
			marks[end++] = 1;
		while (end < size && text[end] == '=')
			marks[end++] = 1;
	}
}

/* From the last byte to the first: how many symbols are still to be marked. */
static void mark(enum view view, const char *text, size_t size, const uint32_t *found, char *marks)
{
	uint32_t left = 0;
	for (size_t end = size; end > 0;) {
		size_t width = view == VIEW_URL && end > 2 && is_escape(text, end - 3, end) ? 3 : 1;
		if (found[end - 1] > left)
			left = found[end - 1];
		bool skipped = view == VIEW_BASE64 && (text[end - 1] == '\n' || text[end - 1] == '\r');
		end -= width;
		if (left > 0 && !skipped) {
			memset(marks + end, (int)view + 1, width);
			left--;
		}
	}
	if (view == VIEW_BASE64)
		widen_base64(text, size, marks);
}

/* marks[i] != 0: text[i] is of a value. NULL when none is; free(). */
static char *marks_of(const struct mask *mask, const char *text, size_t size, bool cut)
{
	CLEANUP(mem_freep) uint32_t *found = mem_calloc(size + 1, sizeof *found);
	char *marks = NULL;
	for (int i = 0; i < VIEW_COUNT; i++) {
		memset(found, 0, size * sizeof *found);
		if (mask->views[i].pattern_count == 0 || !find(&mask->views[i], (enum view)i, text, size, cut, found))
			continue;
		if (marks == NULL)
			marks = mem_calloc(size + 1, 1);
		mark((enum view)i, text, size, found, marks);
	}
	return marks;
}

void mask_text(const struct mask *mask, char *text, bool cut)
{
	if (mask == NULL || text == NULL)
		return;
	size_t size = strlen(text);
	CLEANUP(mem_freep) char *marks = marks_of(mask, text, size, cut);
	if (marks == NULL)
		return;
	size_t out = 0;
	for (size_t i = 0; i < size; i++) {
		if (marks[i] == 0) {
			text[out++] = text[i];
		} else if (i == 0 || marks[i - 1] == 0) {
			memcpy(text + out, STARS, sizeof STARS - 1);
			out += sizeof STARS - 1;
		}
	}
	sodium_memzero(text + out, size - out);
}

void mask_bytes(const struct mask *mask, char *data, size_t size, bool cut)
{
	if (mask == NULL)
		return;
	CLEANUP(mem_freep) char *marks = marks_of(mask, data, size, cut);
	for (size_t i = 0; marks != NULL && i < size; i++)
		if (marks[i] != 0 && data[i] != '\n')
			data[i] = '*';
}
