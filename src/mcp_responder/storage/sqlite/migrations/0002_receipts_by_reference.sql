-- Which incident is it that a channel calls by this name? For words that come back from there.
CREATE INDEX receipts_by_reference ON receipts (channel, json_extract(CAST(body AS TEXT), '$.reference'));
