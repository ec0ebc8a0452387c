#include "chain/progress.h"

bool progress_window_add(struct progress_window *window, int64_t last, int64_t requests, int64_t floor, int64_t now_s)
{
	if (requests < 0 || requests < floor)
		return progress_window_clear(window);
	if (window->from_at == 0 || requests < last || now_s < window->next_at) {
		*window = (struct progress_window){
		    .from_at = now_s, .from_requests = requests, .next_at = now_s, .next_requests = requests};
		return true;
	}
	if (now_s - window->next_at < PROGRESS_WINDOW_S / 2)
		return false;
	bool moved = window->from_requests != requests;
	window->from_at = window->next_at;
	window->from_requests = window->next_requests;
	window->next_at = now_s;
	window->next_requests = requests;
	return moved;
}

bool progress_window_clear(struct progress_window *window)
{
	bool was = window->from_at != 0;
	*window = (struct progress_window){0};
	return was;
}

int64_t progress_total(int64_t requests, int64_t total)
{
	return total > 0 && total <= PROGRESS_MAX && total >= requests ? total : -1;
}

double progress_rate(const struct progress_window *window, int64_t requests, int64_t now_s)
{
	if (window->from_at == 0 || now_s <= window->from_at || requests < window->from_requests)
		return -1;
	return (double)(requests - window->from_requests) / (double)(now_s - window->from_at);
}

int64_t progress_eta_s(int64_t requests, int64_t total, double rate)
{
	total = progress_total(requests, total);
	if (total < 0 || requests < 0 || rate < 0)
		return -1;
	if (total == requests)
		return 0;
	double seconds = rate > 0 ? (double)(total - requests) / rate : (double)PROGRESS_ETA_MAX_S + 1;
	return seconds <= (double)PROGRESS_ETA_MAX_S ? (int64_t)(seconds + 0.5) : -1;
}
