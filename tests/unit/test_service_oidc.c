/* What an issuer may send, and what its tokens may hold: of the wrong shape, size and depth. The rules for sound ones
 * are tried over HTTP (tests/api/test_oidc.py). */
#include "cmocka_all.h"
#include "service/oidc/oidc_document.h"
#include "service/oidc/oidc_token.h"

#include "base/mem.h"
#include "base/str.h"

#include <cjose/cjose.h>
#include <string.h>

#define ISSUER "https://i.example"
#define NOW 1700000000
#define X "PGSlWE9mv82JmtW7sZi4cIXVENlcNvjweQI95KSaliY" /* of a key made for this test, with its y and d */
#define Y "Xdc4g59jojQXiGvPb68puiuJaFnzFw6AD87EH-xrN8Q"
#define D "BlLPflkcyuiMZZwljmvVF6Q31WDgqIylyBMCMPYoAO4"
#define EC "'kty':'EC','crv':'P-256','x':'" X "','y':'" Y "'"

/* JSON with ' for ". free(). */
static char *json_of(const char *text)
{
	char *json = mem_strdup(text);
	for (char *p = strchr(json, '\''); p != NULL; p = strchr(p, '\''))
		*p = '"';
	return json;
}

/* count times the text. free(). */
static char *times(const char *text, size_t count)
{
	struct str s = {0};
	for (size_t i = 0; i < count; i++)
		str_append(&s, text);
	return str_take(&s);
}

static void expect(int rc, const struct nel_err *err, enum nel_err_kind kind, const char *part, const char *text)
{
	if (part == NULL ? rc == 0 : rc == -1 && err->kind == kind && strstr(err->msg, part) != NULL)
		return;
	fail_msg("%.200s: %s, not %s", text, rc == 0 ? "taken" : err->msg, part == NULL ? "taken" : part);
}

static void check_document(const char *text, size_t size, const char *part)
{
	struct nel_err err = {0};
	CLEANUP(oidc_document_done) struct oidc_document document = {0};
	int rc = oidc_document_parse(text, size, ISSUER, &document, &err);
	expect(rc, &err, NEL_INVALID, part, text);
	assert_int_equal(document.jwks_uri == NULL, rc != 0);
}

static void test_oidc_document_parse_hostile_documents_are_refused_in_words(void **state)
{
	static const struct {
		const char *text;
		const char *part; /* of the reason; NULL: it is taken */
	} cases[] = {
	    {"", "no JSON"},
	    {"null", "no JSON"},
	    {"7", "no JSON"},
	    {"'text'", "no JSON"},
	    {"[{'issuer': '" ISSUER "'}]", "names no issuer"},
	    {"{", "no JSON"},
	    {"<html>", "no JSON"},
	    {"{'issuer': '" ISSUER "', 'jwks_uri': 'https://i.example/k'} x", "no JSON"},
	    {"{'issuer': '" ISSUER "', 'issuer': 'https://j.example', 'jwks_uri': 'https://i.example/k'}", "no JSON"},
	    {"{'issuer': '" ISSUER "\\u0000.j.example', 'jwks_uri': 'https://i.example/k'}", "no JSON"},
	    {"{'issuer': '\xc3\x28', 'jwks_uri': 'https://i.example/k'}", "no JSON"},
	    {"{'issuer': '\\ud800', 'jwks_uri': 'https://i.example/k'}", "no JSON"},
	    {"{'issuer': 7, 'jwks_uri': 'https://i.example/k'}", "names no issuer"},
	    {"{'issuer': ['" ISSUER "'], 'jwks_uri': 'https://i.example/k'}", "names no issuer"},
	    {"{'issuer': {'issuer': '" ISSUER "'}, 'jwks_uri': 'https://i.example/k'}", "names no issuer"},
	    {"{'issuer': '" ISSUER "/', 'jwks_uri': 'https://i.example/k'}", "of the issuer " ISSUER "/"},
	    {"{'issuer': 'https://I.example', 'jwks_uri': 'https://i.example/k'}", "of the issuer"},
	    {"{'issuer': '\\n\\u001b[31m', 'jwks_uri': 'https://i.example/k'}", "of the issuer   [31m"},
	    {"{'issuer': '" ISSUER "'}", "names no jwks_uri"},
	    {"{'issuer': '" ISSUER "', 'jwks_uri': null}", "names no jwks_uri"},
	    {"{'issuer': '" ISSUER "', 'jwks_uri': ['https://i.example/k']}", "names no jwks_uri"},
	    {"{'issuer': '" ISSUER "', 'jwks_uri': ''}", "not https"},
	    {"{'issuer': '" ISSUER "', 'jwks_uri': '/k'}", "not https"},
	    {"{'issuer': '" ISSUER "', 'jwks_uri': 'file:///etc/passwd'}", "not https"},
	    {"{'issuer': '" ISSUER "', 'jwks_uri': 'gopher://i.example/k'}", "not https"},
	    {"{'issuer': '" ISSUER "', 'jwks_uri': 'https:/i.example/k'}", "not https"},
	    {"{'issuer': '" ISSUER "', 'jwks_uri': 'https:///i.example/k'}", "not https"},
	    {"{'issuer': '" ISSUER "', 'jwks_uri': 'https:/i.example/k?u=https://i.example/k'}", "not https"},
	    {"{'issuer': '" ISSUER "', 'jwks_uri': 'http://i.example/k'}", "not https"},
	    {"{'issuer': '" ISSUER "', 'jwks_uri': 'https://i.example/k\\r\\nX: y'}", "not https"},
	    {"{'issuer': '" ISSUER "', 'jwks_uri': 'https://i.example/a k'}", "not https"},
	    {"{'issuer': '" ISSUER "', 'jwks_uri': 'https://i.example/k'}", NULL},
	    {"{'issuer': '" ISSUER "', 'jwks_uri': 'https://i.example/k', 'x': [{'issuer': 7}], 'y': 1e3}", NULL},
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		CLEANUP(mem_freep) char *text = json_of(cases[i].text);
		check_document(text, strlen(text), cases[i].part);
	}
	check_document("{\"issuer\": \"a\0b\"}", 17, "no JSON");
}

static void test_oidc_document_parse_large_and_deep_documents_end(void **state)
{
	static const char *const opened[] = {"[", "{\"a\":", "[[[[{\"a\":"};
	(void)state;
	for (size_t i = 0; i < sizeof opened / sizeof opened[0]; i++) {
		CLEANUP(mem_freep) char *deep = times(opened[i], OIDC_DOCUMENT_SIZE_MAX / strlen(opened[i]));
		check_document(deep, strlen(deep), "no JSON");
	}
	CLEANUP(mem_freep) char *wide = times("[],", OIDC_DOCUMENT_SIZE_MAX / 3 - 100);
	CLEANUP(mem_freep)
	char *text =
	    mem_printf("{\"issuer\": \"" ISSUER "\", \"jwks_uri\": \"https://i.example/k\", \"x\": [%s[]]}", wide);
	check_document(text, strlen(text), NULL);
	CLEANUP(mem_freep) char *name = times("\xc3\xa9", 1000);
	CLEANUP(mem_freep) char *other = mem_printf("{\"issuer\": \"%s\", \"jwks_uri\": \"%s\"}", name, name);
	check_document(other, strlen(other), "of the issuer");
}

static void test_oidc_document_parse_device_flow_is_a_text(void **state)
{
	static const struct {
		const char *endpoint;
		bool has;
	} cases[] = {{"'https://i.example/d'", true}, {"7", false}, {"null", false}, {"['x']", false}};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct nel_err err = {0};
		CLEANUP(oidc_document_done) struct oidc_document document = {0};
		CLEANUP(mem_freep)
		char *quoted = mem_printf("{'issuer': '" ISSUER "', 'jwks_uri': 'https://i.example/k', "
					  "'device_authorization_endpoint': %s}",
					  cases[i].endpoint);
		CLEANUP(mem_freep) char *text = json_of(quoted);
		assert_int_equal(oidc_document_parse(text, strlen(text), ISSUER, &document, &err), 0);
		assert_int_equal(document.has_device_flow, cases[i].has);
	}
}

/* What the set makes, or NULL when it has to be refused for that reason. oidc_keys_release(). */
static struct oidc_keys *parse_keys(const char *text, const char *part)
{
	struct nel_err err = {0};
	struct oidc_keys *keys = NULL;
	int rc = oidc_keys_parse(text, strlen(text), ISSUER, &keys, &err);
	expect(rc, &err, NEL_INVALID, part, text);
	assert_int_equal(keys == NULL, rc != 0);
	return keys;
}

static void test_oidc_keys_parse_what_is_no_set_is_refused(void **state)
{
	static const char *const cases[][2] = {
	    {"", "no JSON"},
	    {"{'keys': [", "no JSON"},
	    {"{'keys': [], 'keys': []}", "no JSON"},
	    {"null", "no JSON"},
	    {"[{" EC "}]", "no list"},
	    {"{" EC "}", "no list"},
	    {"{'keys': {" EC "}}", "no list"},
	    {"{'keys': 'x'}", "no list"},
	    {"{'keys': 7}", "no list"},
	    {"{'keys': []}", "of the issuer's 0 keys none"},
	    {"{'keys': [null, 7, 'x', [], {}, [[{" EC "}]], true]}", "of the issuer's 7 keys none"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		CLEANUP(mem_freep) char *text = json_of(cases[i][0]);
		CLEANUP(oidc_keys_freep) struct oidc_keys *keys = parse_keys(text, cases[i][1]);
	}
	CLEANUP(mem_freep) char *deep = times("{\"keys\":[", OIDC_DOCUMENT_SIZE_MAX / 9);
	CLEANUP(oidc_keys_freep) struct oidc_keys *keys = parse_keys(deep, "no JSON");
}

static void test_oidc_keys_parse_misshapen_keys_are_left_out(void **state)
{
	/* Beside each stands a sound one, which is taken all the same. */
	static const struct {
		const char *key;
		bool taken;
	} cases[] = {
	    {EC, true},
	    {EC ",'x5c':[7,{}],'ext':null,'z':[[[]]]", true},
	    {EC ",'use':'sig','key_ops':['sign','verify'],'alg':'ES256','kid':'k'", true},
	    {EC ",'use':'enc'", false},
	    {EC ",'use':7", false},
	    {EC ",'use':null", false},
	    {EC ",'use':['sig']", false},
	    {EC ",'key_ops':'verify'", false},
	    {EC ",'key_ops':[]", false},
	    {EC ",'key_ops':[7,['verify']]", false},
	    {EC ",'alg':'none'", false},
	    {EC ",'alg':'HS256'", false},
	    {EC ",'alg':256", false},
	    {EC ",'alg':['ES256']", false},
	    {EC ",'kid':7", false},
	    {EC ",'kid':{}", false},
	    {"'kty':'ec','crv':'P-256','x':'" X "','y':'" Y "'", false},
	    {"'kty':['EC'],'crv':'P-256','x':'" X "','y':'" Y "'", false},
	    {"'kty':'EC','crv':256,'x':'" X "','y':'" Y "'", false},
	    {"'kty':'EC','crv':'secp256k1','x':'" X "','y':'" Y "'", false},
	    {"'kty':'EC','crv':'P-384','x':'" X "','y':'" Y "'", false},
	    {"'kty':'EC','crv':'P-256','x':'" X "'", false},
	    {"'kty':'EC','crv':'P-256','x':'" X "','y':7", false},
	    {"'kty':'EC','crv':'P-256','x':'" X "','y':''", false},
	    {"'kty':'EC','crv':'P-256','x':'" X "','y':'" X "'", false}, /* not on the curve */
	    {"'kty':'EC','crv':'P-256','x':'+/','y':'" Y "'", false},
	    {"'kty':'EC','crv':'P-256','x':'" X "=','y':'" Y "'", false},
	    {"'kty':'EC','crv':'P-256','x':'A=','y':'" Y "'", false},
	    {"'kty':'EC','crv':'P-256','x':'" X "','y':'Xdc4g=9jojQXiGvPb68puiuJaFnzFw6AD87EH-xrN8Q'", false},
	    {"'kty':'oct','k':'AAAA'", false},
	    {"'kty':'OKP','crv':'Ed25519','x':'" X "'", false},
	    {"'kty':'RSA'", false},
	    {"'kty':'RSA','n':7,'e':'AQAB'", false},
	    {"'kty':'RSA','n':'" X "','e':'AQAB'", false}, /* 255 bits */
	    {"'kty':'RSA','n':'not base64!','e':'AQAB'", false},
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		CLEANUP(mem_freep) char *quoted = mem_printf("{'keys': [{%s}, {" EC "}]}", cases[i].key);
		CLEANUP(mem_freep) char *text = json_of(quoted);
		CLEANUP(oidc_keys_freep) struct oidc_keys *keys = parse_keys(text, NULL);
		if (oidc_keys_count(keys) != (cases[i].taken ? 2 : 1))
			fail_msg("%s: %s", cases[i].key, cases[i].taken ? "left out" : "taken");
	}
}

/* "n" of so many bytes that begin with `first`. free(). */
static char *rsa_set(unsigned first, size_t size, const char *e)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	unsigned char *n = mem_calloc(1, size + 3);
	struct str text = {0};
	memset(n, 0xab, size);
	n[0] = (unsigned char)first;
	for (size_t bit = 0; bit < size * 8; bit += 6) {
		unsigned pair = (unsigned)n[bit / 8] << 8 | n[bit / 8 + 1];
		str_append_c(&text, digits[pair >> (10 - bit % 8) & 63]);
	}
	free(n);
	CLEANUP(mem_freep) char *modulus = str_take(&text);
	return mem_printf("{\"keys\": [{\"kty\": \"RSA\", \"n\": \"%s\", \"e\": %s}]}", modulus, e);
}

static void test_oidc_keys_parse_rsa_moduli_have_their_bounds(void **state)
{
	static const struct {
		unsigned first;
		size_t size;
		const char *e;
		bool taken;
	} cases[] = {
	    {0x80, 256, "\"AQAB\"", true},    {0x7f, 256, "\"AQAB\"", false},  {0x00, 257, "\"AQAB\"", true},
	    {0x80, 1024, "\"AQAB\"", true},   {0x80, 1025, "\"AQAB\"", false}, {0x80, 90000, "\"AQAB\"", false},
	    {0x80, 256, "65537", false},      {0x80, 256, "\"\"", false},      {0x80, 256, "null", false},
	    {0x80, 256, "[\"AQAB\"]", false}, {0x80, 256, "\"A=AB\"", false},  {0x80, 256, "\"AQAB====\"", false},
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		CLEANUP(mem_freep) char *text = rsa_set(cases[i].first, cases[i].size, cases[i].e);
		CLEANUP(oidc_keys_freep)
		struct oidc_keys *keys = parse_keys(text, cases[i].taken ? NULL : "of the issuer's 1 keys none");
	}
}

static void test_oidc_keys_parse_takes_so_many_and_finds_them_behind_others(void **state)
{
	(void)state;
	CLEANUP(mem_freep) char *key = json_of("{" EC "},");
	CLEANUP(mem_freep) char *many = times(key, OIDC_KEYS_MAX + 50);
	CLEANUP(mem_freep) char *set = mem_printf("{\"keys\": [%s{}]}", many);
	CLEANUP(oidc_keys_freep) struct oidc_keys *keys = parse_keys(set, NULL);
	assert_int_equal(oidc_keys_count(keys), OIDC_KEYS_MAX);
	CLEANUP(mem_freep) char *junk = times("7,{},", 20000);
	CLEANUP(mem_freep) char *last = json_of("{" EC "}");
	CLEANUP(mem_freep) char *behind = mem_printf("{\"keys\": [%s%s]}", junk, last);
	CLEANUP(oidc_keys_freep) struct oidc_keys *one = parse_keys(behind, NULL);
	assert_int_equal(oidc_keys_count(one), 1);
}

static void test_oidc_keys_find_an_id_that_stands_twice_is_no_ones(void **state)
{
	(void)state;
	struct nel_err err = {0};
	const void *jwk = NULL;
	CLEANUP(mem_freep) char *set = json_of("{'keys': [{" EC ",'kid':'k'}, {" EC ",'kid':'k'}]}");
	CLEANUP(oidc_keys_freep) struct oidc_keys *keys = parse_keys(set, NULL);
	assert_int_equal(oidc_keys_find(keys, "k", "ES256", &jwk, &err), -1);
	assert_int_equal(err.kind, NEL_INVALID);
	assert_non_null(strstr(err.msg, "several keys with the token's kid"));
	assert_int_equal(oidc_keys_find(keys, "K", "ES256", &jwk, &err), -1);
	assert_int_equal(err.kind, NEL_NOTFOUND);
	assert_int_equal(oidc_keys_find(keys, "k", "ES384", &jwk, &err), -1);
	assert_int_equal(err.kind, NEL_INVALID);
	assert_null(jwk);
}

static char *audiences[] = {"nel", NULL};
static char *admins[] = {"admins", NULL};
static char *nobody[] = {NULL};

static struct settings_oidc make_settings(void)
{
	return (struct settings_oidc){
	    .issuer = ISSUER,
	    .audiences = audiences,
	    .user_claim = "name",
	    .has_roles = true,
	    .role_claim = "groups",
	    .role_values = {admins, nobody, nobody},
	    .leeway_s = 60,
	};
}

/* A token with these bytes as claims, signed with that key. free(). */
static char *sign(const char *claims, size_t size)
{
	cjose_err fault = {0};
	const char *text = NULL;
	CLEANUP(mem_freep) char *json = json_of("{" EC ",'d':'" D "'}");
	cjose_jwk_t *jwk = cjose_jwk_import(json, strlen(json), &fault);
	cjose_header_t *header = cjose_header_new(&fault);
	assert_true(jwk != NULL && cjose_header_set(header, "alg", "ES256", &fault));
	cjose_jws_t *jws = cjose_jws_sign(jwk, header, (const uint8_t *)claims, size, &fault);
	assert_true(jws != NULL && cjose_jws_export(jws, &text, &fault));
	char *token = mem_strdup(text);
	cjose_jws_release(jws);
	cjose_header_release(header);
	cjose_jwk_release(jwk);
	return token;
}

static void check_claims(const char *claims, size_t size, const char *part)
{
	struct nel_err err = {0};
	CLEANUP(json_freep) json_t *checked = NULL;
	CLEANUP(mem_freep) char *set = json_of("{'keys': [{" EC "}]}");
	CLEANUP(oidc_keys_freep) struct oidc_keys *keys = parse_keys(set, NULL);
	CLEANUP(mem_freep) char *token = sign(claims, size);
	const struct settings_oidc settings = make_settings();
	int rc = oidc_token_check(&settings, keys, token, NOW, &checked, &err);
	expect(rc, &err, NEL_INVALID, part, claims);
	assert_int_equal(checked == NULL, rc != 0);
}

#define SOUND "'iss':'" ISSUER "','aud':'nel','iat':1700000000,'exp':1700000100"

static void test_oidc_token_check_signed_claims_of_the_wrong_shape_are_refused(void **state)
{
	static const char *const cases[][2] = {
	    {"{" SOUND "}", NULL},
	    {"{" SOUND ",'aud':'nel'}", "stands twice"},
	    {"{" SOUND ",'x':{'y':1,'y':2}}", "stands twice"},
	    {"", "no JSON object"},
	    {"[{" SOUND "}]", "no JSON object"},
	    {"7", "no JSON object"},
	    {"null", "no JSON object"},
	    {"{" SOUND "} {}", "no JSON object"},
	    {"{" SOUND ",'x':'\\u0000'}", "no JSON object"},
	    {"{" SOUND ",'x':'\xff'}", "no JSON object"},
	    {"{'aud':'nel','iat':1700000000,'exp':1700000100}", "another issuer"},
	    {"{'iss':['" ISSUER "'],'aud':'nel','iat':1700000000,'exp':1700000100}", "another issuer"},
	    {"{'iss':7,'aud':'nel','iat':1700000000,'exp':1700000100}", "another issuer"},
	    {"{'iss':'" ISSUER "/','aud':'nel','iat':1700000000,'exp':1700000100}", "another issuer"},
	    {"{'iss':'" ISSUER "','iat':1700000000,'exp':1700000100}", "not for this service"},
	    {"{'iss':'" ISSUER "','aud':7,'iat':1700000000,'exp':1700000100}", "not for this service"},
	    {"{'iss':'" ISSUER "','aud':[['nel'],{'nel':1},null],'iat':1700000000,'exp':1700000100}", "not for this"},
	    {"{'iss':'" ISSUER "','aud':{'nel':'nel'},'iat':1700000000,'exp':1700000100}", "not for this service"},
	    {"{'iss':'" ISSUER "','aud':[7,'nel'],'iat':1700000000.5,'exp':1.7000001e9}", NULL},
	    {"{'iss':'" ISSUER "','aud':'nel','iat':1700000000,'exp':'1700000100'}", "when it expires"},
	    {"{'iss':'" ISSUER "','aud':'nel','iat':1700000000,'exp':true}", "when it expires"},
	    {"{'iss':'" ISSUER "','aud':'nel','iat':1700000000,'exp':-1}", "when it expires"},
	    {"{'iss':'" ISSUER "','aud':'nel','iat':1700000000,'exp':9223372036854775807}", "when it expires"},
	    {"{'iss':'" ISSUER "','aud':'nel','iat':1700000000,'exp':1e300}", "when it expires"},
	    {"{'iss':'" ISSUER "','aud':'nel','iat':1700000000,'exp':1e999}", "no JSON object"},
	    {"{'iss':'" ISSUER "','aud':'nel','iat':1700000000,'exp':253402300799}", NULL},
	    {"{'iss':'" ISSUER "','aud':'nel','exp':1700000100}", "when it was issued"},
	    {"{'iss':'" ISSUER "','aud':'nel','iat':[1700000000],'exp':1700000100}", "when it was issued"},
	    {"{" SOUND ",'nbf':'0'}", "nbf is no time"},
	    {"{" SOUND ",'nbf':null}", "nbf is no time"},
	    {"{" SOUND ",'events':null}", "tells of events"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		CLEANUP(mem_freep) char *claims = json_of(cases[i][0]);
		check_claims(claims, strlen(claims), cases[i][1]);
	}
	CLEANUP(mem_freep) char *deep = times("[", 10000);
	check_claims(deep, strlen(deep), "no JSON object");
	check_claims("{}\0{}", 5, "no JSON object");
}

static void test_oidc_token_person_claims_of_the_wrong_shape_are_nobody(void **state)
{
	static const char *const cases[][2] = {
	    {"{'sub':'s','name':'ann','groups':['admins'],'iat':1,'exp':2}", NULL},
	    {"{'sub':'s','name':'ann','groups':'admins','iat':1,'exp':2}", NULL},
	    {"{'name':'ann','groups':['admins'],'iat':1,'exp':2}", "subject"},
	    {"{'sub':7,'name':'ann','groups':['admins'],'iat':1,'exp':2}", "subject"},
	    {"{'sub':'','name':'ann','groups':['admins'],'iat':1,'exp':2}", "subject"},
	    {"{'sub':['s'],'name':'ann','groups':['admins'],'iat':1,'exp':2}", "subject"},
	    {"{'sub':'s','groups':['admins'],'iat':1,'exp':2}", "no claim name"},
	    {"{'sub':'s','name':7,'groups':['admins'],'iat':1,'exp':2}", "no claim name"},
	    {"{'sub':'s','name':['ann'],'groups':['admins'],'iat':1,'exp':2}", "no claim name"},
	    {"{'sub':'s','name':'../x','groups':['admins'],'iat':1,'exp':2}", "../x is no user's name"},
	    {"{'sub':'s','name':'a\\nb','groups':['admins'],'iat':1,'exp':2}", "a?b is no user's name"},
	    {"{'sub':'s','name':'\xc3\xa9','groups':['admins'],'iat':1,'exp':2}", "?? is no user's name"},
	    {"{'sub':'s','name':'ann','iat':1,'exp':2}", "gives no role"},
	    {"{'sub':'s','name':'ann','groups':7,'iat':1,'exp':2}", "gives no role"},
	    {"{'sub':'s','name':'ann','groups':{'admins':true},'iat':1,'exp':2}", "gives no role"},
	    {"{'sub':'s','name':'ann','groups':[['admins'],7,null,{'admins':'admins'}],'iat':1,'exp':2}",
	     "gives no role"},
	    {"{'sub':'s','name':'ann','groups':'x admins','iat':1,'exp':2}", "gives no role"},
	    {"{'sub':'s','name':'ann','groups':['admins'],'iat':'1','exp':2}", "no times"},
	};
	(void)state;
	const struct settings_oidc settings = make_settings();
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct nel_err err = {0};
		struct oidc_person person = {0};
		CLEANUP(mem_freep) char *text = json_of(cases[i][0]);
		CLEANUP(json_freep) json_t *claims = json_loads(text, 0, NULL);
		assert_non_null(claims);
		expect(oidc_token_person(&settings, claims, &person, &err), &err, NEL_DENIED, cases[i][1], text);
		assert_string_equal(person.name, cases[i][1] == NULL ? "ann" : "");
	}
}

static void test_oidc_token_person_long_values_and_lists_are_bounded(void **state)
{
	(void)state;
	struct settings_oidc settings = make_settings();
	struct nel_err err = {0};
	struct oidc_person person = {0};
	CLEANUP(mem_freep) char *long_text = times("a", USER_SUBJECT_SIZE);
	CLEANUP(mem_freep) char *others = times("\"x\",", OIDC_VALUES_MAX);
	CLEANUP(json_freep)
	json_t *claims = json_pack("{s:s, s:s, s:i, s:i}", "sub", long_text, "name", long_text, "iat", 1, "exp", 2);
	expect(oidc_token_person(&settings, claims, &person, &err), &err, NEL_DENIED, "subject", "a long sub");
	json_object_set_new(claims, "sub", json_string("s"));
	expect(oidc_token_person(&settings, claims, &person, &err), &err, NEL_DENIED, "longer than", "a long name");
	json_object_set_new(claims, "name", json_string("ann"));
	CLEANUP(mem_freep) char *list = mem_printf("[%s\"admins\"]", others);
	json_object_set_new(claims, "groups", json_loads(list, 0, NULL));
	expect(oidc_token_person(&settings, claims, &person, &err), &err, NEL_DENIED, "gives no role", "a long list");
	json_array_remove(json_object_get(claims, "groups"), 0);
	expect(oidc_token_person(&settings, claims, &person, &err), &err, NEL_DENIED, NULL, "as long as may be");
	/* By dots through objects, and through nothing else. */
	settings.role_claim = "a.b.c";
	static const char *const nested[][2] = {
	    {"{'a':{'b':{'c':'admins'}}}", NULL},
	    {"{'a.b.c':'admins'}", NULL},
	    {"{'a':[{'b':{'c':'admins'}}]}", "no role"},
	    {"{'a':{'b':'admins'}}", "no role"},
	    {"{'a':{'b':{'c':{'c':'admins'}}}}", "no role"},
	};
	for (size_t i = 0; i < sizeof nested / sizeof nested[0]; i++) {
		CLEANUP(mem_freep) char *text = json_of(nested[i][0]);
		CLEANUP(json_freep) json_t *roles = json_loads(text, 0, NULL);
		CLEANUP(json_freep) json_t *whole = json_copy(claims);
		json_object_del(whole, "groups");
		json_object_update(whole, roles);
		expect(oidc_token_person(&settings, whole, &person, &err), &err, NEL_DENIED, nested[i][1], text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_oidc_document_parse_hostile_documents_are_refused_in_words),
	    cmocka_unit_test(test_oidc_document_parse_large_and_deep_documents_end),
	    cmocka_unit_test(test_oidc_document_parse_device_flow_is_a_text),
	    cmocka_unit_test(test_oidc_keys_parse_what_is_no_set_is_refused),
	    cmocka_unit_test(test_oidc_keys_parse_misshapen_keys_are_left_out),
	    cmocka_unit_test(test_oidc_keys_parse_rsa_moduli_have_their_bounds),
	    cmocka_unit_test(test_oidc_keys_parse_takes_so_many_and_finds_them_behind_others),
	    cmocka_unit_test(test_oidc_keys_find_an_id_that_stands_twice_is_no_ones),
	    cmocka_unit_test(test_oidc_token_check_signed_claims_of_the_wrong_shape_are_refused),
	    cmocka_unit_test(test_oidc_token_person_claims_of_the_wrong_shape_are_nobody),
	    cmocka_unit_test(test_oidc_token_person_long_values_and_lists_are_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
