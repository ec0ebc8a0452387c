-- The evaluations whose secrets are still kept: looked through now and then for those that need them no more.
CREATE INDEX evaluation_texts_sealed ON evaluation_texts (evaluation) WHERE sealed_env IS NOT NULL;
