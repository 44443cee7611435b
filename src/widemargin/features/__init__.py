"""Raw documents and records to rows: words, n-grams, tf-idf, scaled numbers, categories."""
