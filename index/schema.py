"""The tables of an index. Reads and writes no rows.

A paper is what its records say together: ``records`` holds what each source said, ``papers`` the result, ``names``
every name it can be recognised by. What is computed from its text is apart, in ``embeddings`` and ``passages``, so
that another embedding model can fill tables of its own beside them (``next_…``) and take their place in one step.

``removed_passages``, ``removed_papers`` and ``papers.changed`` tell, for any generation, what has changed since: the
search files catch up by that alone, however large the collection.
"""

FORMAT_VERSION = 2

PAPER_COLUMNS = (
    "id", "title", "abstract", "authors", "year", "venue", "url", "doi", "tags", "extra", "identifiers",
)  # fmt: skip

COMPUTED = ("embeddings", "passages")  # the tables that an embedding model and the passage settings fill

TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

CREATE TABLE papers (
    key INTEGER PRIMARY KEY AUTOINCREMENT,  -- never reused
    id TEXT NOT NULL UNIQUE,
    title TEXT NOT NULL,
    abstract TEXT NOT NULL,
    authors TEXT NOT NULL,                  -- JSON, as are tags, extra and identifiers
    year INTEGER,
    venue TEXT NOT NULL,
    url TEXT NOT NULL,
    doi TEXT NOT NULL,
    tags TEXT NOT NULL,
    extra TEXT NOT NULL,
    identifiers TEXT NOT NULL,
    changed INTEGER NOT NULL                -- the generation in which its text last changed
);
CREATE INDEX papers_by_year ON papers(year);
CREATE INDEX papers_by_change ON papers(changed);

CREATE TABLE names (                        -- by which a record is recognised as this paper
    name TEXT NOT NULL,
    paper INTEGER NOT NULL REFERENCES papers(key) ON DELETE CASCADE,
    PRIMARY KEY (name, paper)
) WITHOUT ROWID;
CREATE INDEX names_of_paper ON names(paper);

CREATE TABLE sources (
    key INTEGER PRIMARY KEY,
    path TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL                      -- the folded name of the file
);
CREATE TABLE records (                      -- what a source says of a paper
    key INTEGER PRIMARY KEY,                -- in order of arrival
    paper INTEGER NOT NULL REFERENCES papers(key) ON DELETE CASCADE,
    source INTEGER NOT NULL REFERENCES sources(key),
    ordinal INTEGER NOT NULL,               -- a source may list a paper twice
    fields TEXT,                            -- JSON; NULL when it says just what the paper is
    UNIQUE (paper, source, ordinal)
);
CREATE INDEX records_of_source ON records(source);

CREATE TABLE facets (                       -- the distinct values that filters look for, folded
    key INTEGER PRIMARY KEY,
    field TEXT NOT NULL,                    -- author, venue, tag
    value TEXT NOT NULL,
    UNIQUE (field, value)
);
CREATE TABLE paper_facets (
    facet INTEGER NOT NULL REFERENCES facets(key),
    paper INTEGER NOT NULL REFERENCES papers(key) ON DELETE CASCADE,
    PRIMARY KEY (facet, paper)
) WITHOUT ROWID;
CREATE INDEX facets_of_paper ON paper_facets(paper);
-- Trigrams of the values, so that a part of a name is found without reading them all.
CREATE VIRTUAL TABLE facet_parts USING fts5(
    value, content='facets', content_rowid='key', tokenize='trigram case_sensitive 1'
);
CREATE TRIGGER facet_added AFTER INSERT ON facets BEGIN
    INSERT INTO facet_parts(rowid, value) VALUES (new.key, new.value);
END;
CREATE TRIGGER facet_removed AFTER DELETE ON facets BEGIN
    INSERT INTO facet_parts(facet_parts, rowid, value) VALUES ('delete', old.key, old.value);
END;

CREATE TABLE spare_embeddings (             -- of texts that are gone; they may come back under another name
    digest BLOB PRIMARY KEY,
    computed BLOB NOT NULL
);
CREATE TABLE removed_passages (key INTEGER PRIMARY KEY, generation INTEGER NOT NULL);
CREATE INDEX passages_by_removal ON removed_passages(generation);
CREATE TABLE removed_papers (key INTEGER PRIMARY KEY, generation INTEGER NOT NULL);
CREATE INDEX papers_by_removal ON removed_papers(generation);
CREATE TRIGGER paper_removed AFTER DELETE ON papers BEGIN
    INSERT INTO removed_papers SELECT old.key, value + 1 FROM meta WHERE key = 'generation';
END;
"""


def computed_tables(prefix: str = "") -> str:
    """Return the statements that make the tables of what is computed, under names that begin with ``prefix``."""
    return f"""
CREATE TABLE {prefix}embeddings (
    paper INTEGER PRIMARY KEY REFERENCES papers(key) ON DELETE CASCADE,
    digest BLOB NOT NULL,                   -- of the text that was embedded
    sentences TEXT NOT NULL,                -- [[start, end], ...] into the abstract
    vectors BLOB NOT NULL,                  -- float16, shape (sentences, dimension)
    terms TEXT NOT NULL                     -- of title and abstract, for keyword search
);
CREATE INDEX {prefix}embeddings_by_text ON {prefix}embeddings(digest);
CREATE TABLE {prefix}passages (
    key INTEGER PRIMARY KEY AUTOINCREMENT,  -- never reused: the ids of FAISS
    paper INTEGER NOT NULL REFERENCES papers(key) ON DELETE CASCADE,
    start INTEGER NOT NULL,
    end INTEGER NOT NULL,
    vector BLOB NOT NULL                    -- float16, shape (dimension,)
);
CREATE INDEX {prefix}passages_of_paper ON {prefix}passages(paper);
"""


# Not on the tables of a reindexing: their passages are in no search file yet.
PASSAGE_TRIGGER = """
CREATE TRIGGER passage_removed AFTER DELETE ON passages BEGIN
    INSERT INTO removed_passages SELECT old.key, value + 1 FROM meta WHERE key = 'generation';
END;
"""
