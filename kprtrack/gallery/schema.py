"""The tables of a gallery: an SQLite file that any SQLite program can read."""

APPLICATION_ID = 0x4B505247  # "KPRG", in the header of the file
VERSION = 1  # user_version in the header of the file
PAGE_BYTES = 8192  # five prototypes of the package's encoder
MOST_PARTS = 62  # the visibility of all parts is one whole number

# IDs with AUTOINCREMENT are never used again. Embeddings are float16, [P, D], 0 where a part is invisible;
# bit p of `visible` is part p. Times are seconds, boxes x1 y1 x2 y2 in pixels.
STATEMENTS = (
    """CREATE TABLE encoder (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  name TEXT NOT NULL,
  sha256 TEXT NOT NULL,
  parts INTEGER NOT NULL,
  dimensions INTEGER NOT NULL
) STRICT""",
    """CREATE TABLE person (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT UNIQUE,
  notes TEXT NOT NULL DEFAULT ''
) STRICT""",
    """CREATE TABLE merged (
  id INTEGER PRIMARY KEY,
  person INTEGER NOT NULL
) STRICT""",
    """CREATE TABLE video (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  sha256 TEXT NOT NULL UNIQUE,
  name TEXT NOT NULL,
  header TEXT NOT NULL,
  together BLOB NOT NULL
) STRICT""",
    """CREATE TABLE sighting (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  video INTEGER NOT NULL REFERENCES video (id),
  track_id INTEGER NOT NULL,
  person INTEGER NOT NULL REFERENCES person (id),
  first_s REAL NOT NULL,
  last_s REAL NOT NULL,
  first_frame INTEGER NOT NULL,
  last_frame INTEGER NOT NULL,
  boxes_seen INTEGER NOT NULL,
  weight INTEGER NOT NULL,
  visible INTEGER NOT NULL,
  mean BLOB NOT NULL,
  UNIQUE (video, track_id)
) STRICT""",
    "CREATE INDEX sighting_of_person ON sighting (person)",
    """CREATE TABLE prototype (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  sighting INTEGER NOT NULL REFERENCES sighting (id),
  frame INTEGER NOT NULL,
  time_s REAL NOT NULL,
  x1 REAL NOT NULL,
  y1 REAL NOT NULL,
  x2 REAL NOT NULL,
  y2 REAL NOT NULL,
  quality REAL NOT NULL,
  prompted INTEGER NOT NULL,
  visible INTEGER NOT NULL,
  embedding BLOB NOT NULL
) STRICT""",
    "CREATE INDEX prototype_of_sighting ON prototype (sighting)",
    # A track that the user has decided about, found again by its boxes when its video is added again.
    """CREATE TABLE place (
  id INTEGER PRIMARY KEY,
  video INTEGER NOT NULL REFERENCES video (id),
  track_id INTEGER,
  frames BLOB NOT NULL,
  boxes BLOB NOT NULL
) STRICT""",
    """CREATE TABLE decision (
  a INTEGER NOT NULL REFERENCES place (id),
  b INTEGER NOT NULL REFERENCES place (id),
  same INTEGER NOT NULL,
  PRIMARY KEY (a, b)
) STRICT, WITHOUT ROWID""",
    # The index of a large gallery (signatures.py): a basis [k, P * D] float32; blocks of N prototypes with
    # their IDs and `visible` as int64, and signatures [N, k] float16. Each change makes a new generation.
    """CREATE TABLE search_space (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  generation INTEGER NOT NULL,
  last_prototype INTEGER NOT NULL,
  trained_on INTEGER NOT NULL,
  basis BLOB NOT NULL
) STRICT""",
    """CREATE TABLE block (
  id INTEGER PRIMARY KEY,
  prototypes BLOB NOT NULL,
  visible BLOB NOT NULL,
  signatures BLOB NOT NULL
) STRICT""",
)
