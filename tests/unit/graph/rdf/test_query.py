"""Queries are read-only, bounded, and reach nothing but the store."""

from __future__ import annotations

import concurrent.futures
import contextlib
import http.server
import itertools
import sys
import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moonshelf.errors import UsageError
from moonshelf.graph.rdf import query as module
from moonshelf.graph.rdf.library import oxigraph
from moonshelf.graph.rdf.query import Term, refuse_service
from moonshelf.graph.rdf.store import GraphStore
from moonshelf.graph.rdf.vocabulary import XSD
from tests.unit.graph.rdf.cases import ONTOLOGY, fact, split

# Joins everything with everything and must hold it all to sort it.
ENDLESS = "SELECT * { ?a ?b ?c . ?d ?e ?f . ?g ?h ?i . ?j ?k ?l . ?m ?n ?o } ORDER BY ?o ?c"


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("query") / "s"
    with GraphStore.open(folder) as opened:
        opened.put_many([split(f"d{n}", f"b{n % 3}") for n in range(30)], ONTOLOGY)
        opened.put_many([split("r1", "b0", product="d0")], ONTOLOGY)
        opened.put_ontology(ONTOLOGY)
        yield opened


@pytest.fixture(scope="module")
def server():
    """Counts who asks it anything, on this machine only."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def answer(self) -> None:
            asked.append(self.path)
            self.send_response(404)
            self.end_headers()

        do_GET = do_POST = answer

        def log_message(self, *_) -> None: ...

    asked: list[str] = []
    httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=httpd.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{httpd.server_port}/x", asked
    httpd.shutdown()
    httpd.server_close()


def first(store: GraphStore, query: str) -> str:
    """The first value of the first row."""
    term = store.query(query).rows[0][0]
    assert term is not None
    return term.value


def test_nothing_of_the_present_folder_is_run(tmp_path, monkeypatch) -> None:
    """`python -m` would look there first, for any module of its own or of Python's."""
    GraphStore.open(tmp_path / "s").close()
    (tmp_path / "here").mkdir()
    for name in ("json", "signal", "moonshelf"):
        (tmp_path / "here" / f"{name}.py").write_text(
            "import pathlib\npathlib.Path(__file__).with_name('ran').touch()\n"
        )
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setattr("sys.path", [entry for entry in sys.path if entry not in ("", ".")])
    with GraphStore.open(tmp_path / "s", read_only=True) as store:
        assert store.query("ASK { ?s ?p ?o }").truth is False
    assert not (tmp_path / "here" / "ran").exists()


def test_select(store) -> None:
    answer = store.query(
        "SELECT ?p ?kw WHERE { ?p a/rdfs:subClassOf* c:AirConditioner ; p:cooling_capacity ?kw ; "
        "p:brand/rdfs:label 'b1' } ORDER BY ?p"
    )
    assert answer.kind == "select" and answer.variables == ("p", "kw")
    assert len(answer.rows) == 10 and not answer.truncated and answer.seconds > 0
    product, kilowatts = answer.rows[0]
    assert product is not None and product.is_iri
    assert kilowatts == Term("5.2", f"{XSD}decimal")


def test_ask_construct_and_describe(store) -> None:
    assert store.query("ASK { ?p a c:SplitAirConditioner }").truth is True
    assert store.query("ASK { ?p a c:Kettle }").truth is False
    made = store.query("CONSTRUCT { ?p a c:Kettle } WHERE { ?p a c:SplitAirConditioner }")
    assert made.kind == "triples" and len({row[0] for row in made.rows}) == 30
    product = store.names.product("d1")
    assert len(store.query(f"DESCRIBE <{product}>").rows) > 5


def test_unbound_values_and_languages(store) -> None:
    answer = store.query("SELECT ?a ?b WHERE { VALUES ?a { 'x'@en } }")
    ((value, none),) = answer.rows
    assert value is not None and (value.value, value.language, none) == ("x", "en", None)


def test_one_statement_of_two_documents_counts_twice_unless_distinct(store) -> None:
    """What the docstring says of the union of graphs."""
    pattern = "?p a c:SplitAirConditioner"
    plain = first(store, f"SELECT (COUNT(*) AS ?n) {{ {pattern} }}")
    distinct = first(store, f"SELECT (COUNT(DISTINCT ?p) AS ?n) {{ {pattern} }}")
    assert (plain, distinct) == ("31", "30")


def test_texts_are_bound_and_not_pasted(store) -> None:
    query = "SELECT ?p ?brand WHERE { ?p p:brand/rdfs:label ?brand }"
    assert len(store.query(query, bind={"brand": "b2"}).rows) == 10
    assert store.query(query, bind={"brand": 'b2" } #'}).rows == ()
    assert store.query(query, bind={"brand": "room SERVICE \x00 \ud800"}).rows == ()


@pytest.mark.parametrize(
    "text",
    [
        *("", "nonsense", "SELECT", "SELECT * {", "INSERT DATA { <a:a> <a:b> <a:c> }", "CLEAR ALL"),
        *("LOAD <http://127.0.0.1/>", "DROP ALL", "SELECT * { ?s ?p ?o } ; CLEAR ALL", "\ud800"),
    ],
)
def test_what_is_no_query_changes_nothing(store, text) -> None:
    before = len(store)
    with pytest.raises(UsageError, match="not a query"):
        store.query(text)
    assert len(store) == before and store.query("ASK {}").truth


def test_out_of_time(store) -> None:
    started = time.monotonic()
    with pytest.raises(UsageError, match=r"more than 0\.4 s"):
        store.query(ENDLESS, 0.4)
    assert time.monotonic() - started < 20
    assert store.query("ASK {}").truth


def test_out_of_rows(store) -> None:
    answer = store.query("SELECT * { ?a ?b ?c . ?d ?e ?f . ?g ?h ?i }", limit=7)
    assert len(answer.rows) == 7 and answer.truncated
    answer = store.query("SELECT * { VALUES ?x { 1 2 3 } }", limit=3)
    assert len(answer.rows) == 3 and not answer.truncated


def test_out_of_bytes(store, monkeypatch) -> None:
    monkeypatch.setattr(module, "BYTES", 1_000)
    answer = store.query("SELECT * { ?a ?b ?c }")
    assert 0 < len(answer.rows) < 30 and answer.truncated


def test_out_of_memory(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(module, "MEMORY", 100 << 20)
    with GraphStore.open(tmp_path / "s") as store:
        store.put_many([split(f"d{n}") for n in range(5)], ONTOLOGY)
        with pytest.raises(UsageError, match="memory"):
            store.query(ENDLESS, 60)
        assert store.query("ASK { ?s ?p ?o }").truth


@pytest.mark.parametrize(("timeout", "limit"), [(0, 1), (-1, 1), (4000, 1), (1, 0), (1, 10**9)])
def test_bounds_out_of_range(store, timeout, limit) -> None:
    with pytest.raises(UsageError, match="out of range"):
        store.query("ASK {}", timeout, limit=limit)


def test_a_writer_reads_what_it_has_written(tmp_path) -> None:
    with GraphStore.open(tmp_path / "s") as store:
        count = "SELECT (COUNT(DISTINCT ?p) AS ?n) { ?p a c:SplitAirConditioner }"
        for n in range(3):
            assert first(store, count) == str(n)
            assert first(store, count) == str(n)
            store.put_many([split(f"d{n}")], ONTOLOGY)
    assert not list((tmp_path / "s").glob("snapshot-*"))
    with GraphStore.open(tmp_path / "s", read_only=True) as store:
        assert first(store, count) == "3"


def test_an_interrupted_query_answers_no_other(store, monkeypatch) -> None:
    assert store.query("ASK {}").truth
    worker = store._queries._worker

    def interrupted() -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(worker.stdout, "readline", interrupted)
    with pytest.raises(KeyboardInterrupt):
        store.query("SELECT (1 AS ?old) {}")
    assert store.query("SELECT (2 AS ?new) {}").variables == ("new",)


def test_threads_get_their_own_answers(store) -> None:
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(first, store, f"SELECT ({n} AS ?n) {{}}") for n in range(40)]
        assert [one.result() for one in asked] == [str(n) for n in range(40)]


# ---- SERVICE

# Where the word may hide: after what ends a token without a blank, in a comment's shadow, where `<`
# is "less than" although an address could begin there.
BEFORE = [
    *(
        "",
        "#\n",
        "{} ",
        "?s ?p true",
        "?s ?p 1",
        "?s ?p 1.5",
        '?s ?p "x"',
        "?s ?p 'x' .",
        "?s ?p ?o.",
    ),
    *(
        "FILTER(1<2)",
        "FILTER(true)",
        "BIND(1 AS ?x)",
        "OPTIONAL{}",
        "VALUES ?x {1}",
        "?s a:p a:o . ",
    ),
    *(
        "FILTER(?a<?b)",
        "MINUS{}",
        "?s a:p? a:o.",
        "GRAPH ?g{}",
        "{}UNION{}",
        "_:x a:p _:y.",
        "?s ?p '''x'''",
    ),
    *('BIND("<" AS ?x)', "BIND('#' AS ?x)", "FILTER EXISTS {}", "<a:a> <a:b> <a:c>.", "?s ?p a:b;"),
]
BETWEEN = ["", " ", "\n", "\t", "#x\n", " SILENT ", "SILENT", " silent#\n", "\r"]
TARGETS = ["<URL>", ":", "a:x", "?v"]
WORDS = ["SERVICE", "service", "SeRvIcE", "\\u0053ERVICE", "SERV\\U00000049CE"]


def hidden(before: str, word: str, between: str, target: str, url: str) -> str:
    head = f"PREFIX : <{url}> PREFIX a: <{url}/> "
    value = f"VALUES ?v {{ <{url}> }} " if target == "?v" else ""
    target = target.replace("URL", url)
    return f"{head}SELECT * {{ {value}{before}{word}{between}{target}{{ ?q ?r ?t }} }}"


def raw(text: str) -> None:
    """Asks the library without any check."""
    with contextlib.suppress(SyntaxError, ValueError, OSError, RuntimeError):
        for _ in oxigraph().Store().query(text):
            break


def test_every_hiding_place_is_refused_and_many_of_them_work_without(store, server) -> None:
    url, asked = server
    worked = 0
    for parts in itertools.product(BEFORE, WORDS[:2], BETWEEN, TARGETS):
        text = hidden(*parts, url)
        with pytest.raises(UsageError, match="SERVICE"):
            refuse_service(text)
        if parts[1] == "SERVICE":
            asked.clear()
            raw(text)
            worked += bool(asked)
    assert worked > 300, "the library would have asked: the check is what stops it"
    asked.clear()
    for word in WORDS:
        with pytest.raises(UsageError, match="SERVICE"):
            store.query(hidden("", word, " ", "<URL>", url))
    assert asked == []


PIECES = [
    *BEFORE,
    *BETWEEN,
    *WORDS,
    "<URL>",
    "{",
    "}",
    "{}",
    "(",
    ")",
    "<",
    ">",
    '"',
    "'",
    '"""',
    "'''",
]
PIECES += [
    "?",
    "$",
    "?a",
    ":",
    "a:",
    "a:b",
    "#",
    "\n",
    ".",
    ";",
    "|",
    "/",
    "^",
    "-",
    "@en",
    "FILTER(",
]
PIECES += ["BIND(", "AS ?x)", "&&", "?a<", "\\", "a:b)", "#>", "\\u0022", "\\u003E"]


@settings(max_examples=600, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=9).map("".join))
def test_what_is_let_through_asks_nobody(server, middle) -> None:
    url, asked = server
    text = hidden("", "", "", "", url).replace("{ ?q", middle.replace("URL", url) + "{ ?q")
    try:
        refuse_service(text)
    except UsageError:
        return
    asked.clear()
    raw(text)
    assert asked == []


@pytest.mark.parametrize(
    "text",
    [
        # `<` is less-than: what looks like an address holds the end of a condition.
        "FILTER(?a<?b)SERVICE:x#>\n{ ?q ?r ?t }",
        "FILTER(?a<a:b)SERVICE:x#>\n{ ?q ?r ?t }",
        # A quote within what looks like an address, so that strings begin and end elsewhere.
        "FILTER(?a<str('b>'))SERVICE:x{ ?q ?r ?t } #'",
        "FILTER(?a<a:b#>'''\n)SERVICE :x { ?q ?r ?t } #'''",
        "?s ?p 'a#b' . SERVICE :x { ?q ?r ?t } # '",
    ],
)
def test_tricks_on_tokens_are_refused(text) -> None:
    with pytest.raises(UsageError, match="SERVICE"):
        refuse_service(f"PREFIX : <http://a/> SELECT * {{ {text} }}")


@pytest.mark.parametrize(
    "text",
    [
        "SELECT ?service { ?x p:after_sales_service ?service }",
        "SELECT $self_service_2 { ?x :service $self_service_2 }",
        "SELECT * { ?x <https://a.example/customer-service/1> ?y }",
        "SELECT * FROM <http://a.example/x> { ?s ?p ?o }",
    ],
)
def test_harmless_uses_of_the_word_pass(text) -> None:
    refuse_service(text)


@pytest.mark.parametrize("clause", ["FROM <URL>", "from named <URL>", "FROM#\n<URL>", "FROM a:b"])
def test_from_asks_nobody_and_is_refused_as_it_would_be_ignored(store, server, clause) -> None:
    url, asked = server
    asked.clear()
    text = f"PREFIX a: <{url}> SELECT * {clause.replace('URL', url)} {{ ?s ?p ?o }}"
    raw(text)
    with pytest.raises(UsageError, match="FROM is not supported"):
        store.query(text)
    assert asked == []
    assert store.query("SELECT ?from { ?s p:from ?from } LIMIT 1").rows == ()


def test_two_stores_in_one_process_do_not_meet(tmp_path) -> None:
    with GraphStore.open(tmp_path / "a") as one, GraphStore.open(tmp_path / "b") as other:
        one.put("d", [fact("d", "stars", 1)], ONTOLOGY)
        assert one.query("ASK { ?s p:stars ?o }").truth
        assert not other.query("ASK { ?s p:stars ?o }").truth
