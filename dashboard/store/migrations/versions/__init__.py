"""One file a change of the schema, each made by hand and never edited after a release."""
