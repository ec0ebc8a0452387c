/* Owns the reads that several handlers share, with their "not found". */
#include "api/read.h"

#include "api/render.h"
#include "api/reply.h"

int read_evaluation(struct db *db, const char *id, bool with_texts, struct evaluation_row *ret_row, struct nel_err *err)
{
	if (!ids_is_evaluation(id))
		return err_set(err, NEL_NOTFOUND, "no evaluation \"%.64s\"", id);
	if (evaluations_get(db, id, with_texts, ret_row, err) == 0)
		return 0;
	return err->kind == NEL_NOTFOUND ? err_set(err, NEL_NOTFOUND, "no evaluation \"%s\"", id) : -1;
}

int read_job(struct db *db, const char *id, struct job_row *ret_row, struct nel_err *err)
{
	char evaluation[IDS_EVALUATION_SIZE];
	int index = 0;
	if (!ids_parse_job(id, evaluation, &index))
		return err_set(err, NEL_NOTFOUND, "no job \"%.64s\"", id);
	if (jobs_get(db, id, ret_row, err) == 0)
		return 0;
	return err->kind == NEL_NOTFOUND ? err_set(err, NEL_NOTFOUND, "no job \"%s\"", id) : -1;
}

int read_render_evaluation(struct request *request, struct db *db, const struct evaluation_row *row, struct str *body,
			   struct nel_err *err)
{
	CLEANUP(job_list_done) struct job_list jobs = {0};
	if (jobs_of_evaluation(db, row->id, &jobs, err) != 0)
		return -1;
	for (size_t i = 0; i < jobs.count; i++)
		service_show_place(request->service, &jobs.items[i]);
	render_evaluation(body, row, &jobs);
	return 0;
}

int read_reply_evaluation(struct request *request, struct db *db, int status, const char *id, struct nel_err *err)
{
	CLEANUP(evaluation_row_done) struct evaluation_row row = {0};
	CLEANUP(str_done) struct str body = {0};
	if (read_evaluation(db, id, false, &row, err) != 0 ||
	    read_render_evaluation(request, db, &row, &body, err) != 0)
		return -1;
	return reply_json_text(request, status, &body, err);
}
