// The contents: which view stands at which address (behind the #), and in which order they are offered.
import {start} from './shell.js';
import * as overview from './view_overview.js';
import * as evaluations from './view_evaluations.js';
import * as evaluation from './view_evaluation.js';
import * as submit from './view_submit.js';
import * as results from './view_results.js';
import * as compare from './view_compare.js';
import * as campaigns from './view_campaigns.js';
import * as campaign from './view_campaign.js';
import * as clusters from './view_clusters.js';
import * as me from './view_me.js';
import * as admin from './view_admin.js';

start([
  {path: '', title: 'Overview', view: overview},
  {path: 'evaluations', title: 'Evaluations', view: evaluations},
  {path: 'evaluations/:id', view: evaluation, under: 'evaluations'},
  {path: 'results', title: 'Results', view: results},
  {path: 'compare', view: compare, under: 'results'},
  {path: 'campaigns', title: 'Campaigns', view: campaigns},
  {path: 'campaigns/:id', view: campaign, under: 'campaigns'},
  {path: 'submit', title: 'Submit', view: submit, role: 'user'},
  {path: 'clusters', title: 'Clusters', view: clusters},
  {path: 'me', title: 'Me', view: me},
  {path: 'admin', title: 'Admin', view: admin, role: 'admin'},
]);
