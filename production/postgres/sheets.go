package postgres

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
)

// sheet says how rows get into a table: all rows of a transaction by one statement, for half of what a small statement costs is
// that it is one.
type sheet struct {
	name    string // in a statement of several sheets
	sql     string // writes the rows of a table "new"
	columns []column
	guard   bool // sql answers a row for each row that it has written, and it shall be all of them
	key     int  // so many columns, texts, name a row, and of those with one name only the last is written. 0: names do not repeat

	// succeed, if set, takes into a row what stays of the one before it with the same name.
	succeed func(values, before []any)
}

// The sheets, in the order in which they are written, after headSheet, and with it the locks.
var (
	batchInserts = insertion("batches", 0, batchSheet, "")
	batchUpdates = (&sheet{
		name: "updated", guard: true,
		sql: "UPDATE kentongan.batches AS old SET (" + names(batchSheet[2:]) + ") = ROW (" + prefixed("new.", batchSheet[2:]) +
			") FROM " + rowsOf + ` WHERE old.tenant = new.tenant AND old.id = new.id
				AND old.revision = new.base AND old.deleted_at = 0 RETURNING 1`,
		columns: basedBatch, key: 2,
	}).keeping(keepBase)
	kitchenSheet = insertion("kitchens", 1, []column{
		{"tenant", "text"}, {"revision", "bigint"}, {"next_look", "bigint"}, {"doc", "json"}, {"settled", "json"},
	}, ` ON CONFLICT (tenant) DO UPDATE SET (revision, next_look, doc, settled) =
		(excluded.revision, excluded.next_look, excluded.doc, excluded.settled)`)
	alertSheet = insertion("alerts", 2, []column{
		{"tenant", "text"}, {"id", "text"}, {"batch", "text"}, {"code", "text"}, {"severity", "bigint"}, {"active", "boolean"},
		{"raised_at", "bigint"}, {"doc", "json"},
	}, ` ON CONFLICT (tenant, id) DO UPDATE SET (batch, code, severity, active, raised_at, doc) =
		(excluded.batch, excluded.code, excluded.severity, excluded.active, excluded.raised_at, excluded.doc)`)
	entrySheet = insertion("entries", 0, []column{ // n counts in the order of the rows
		{"tenant", "text"}, {"batch", "text"}, {"kind", "text"}, {"id", "text"}, {"doc", "json"},
	}, "")
	photoSheet = insertion("photos", 0, []column{{"tenant", "text"}, {"batch", "text"}, {"id", "text"}, {"data", "bytea"}}, "")

	listedSheet = insertion("listed", 3, []column{
		{"tenant", "text"}, {"kind", "text"}, {"id", "text"}, {"name", "text"}, {"pin", "text"}, {"doc", "json"},
	}, ` ON CONFLICT (tenant, kind, id) DO UPDATE SET (name, pin, doc) =
		(excluded.name, CASE excluded.pin WHEN '' THEN listed.pin ELSE excluded.pin END, excluded.doc)`).keeping(keepPIN)
	observationSheet = insertion("observations", 0, []column{
		{"tenant", "text"}, {"id", "bytea"}, {"at", "bigint"}, {"batch", "bytea"}, {"payload", "bytea"}, {"flags", "json"},
		{"flagged", "boolean"},
	}, "")
	noticeSheet = insertion("notices", 0, []column{
		{"tenant", "text"}, {"id", "text"}, {"alert", "text"}, {"at", "bigint"}, {"payload", "bytea"}, {"attempts", "bigint"},
		{"next_try", "bigint"}, {"last_error", "bytea"},
	}, "")
	keySheet = insertion("keys", 0, []column{
		{"tenant", "text"}, {"key", "bytea"}, {"fingerprint", "bytea"}, {"at", "bigint"}, {"result", "bytea"},
	}, "")
	eventSheet = insertion("events", 0, []column{
		{"tenant", "text"}, {"seq", "bigint"}, {"id", "text"}, {"channel", "text"}, {"batch", "text"}, {"version", "bigint"},
		{"at", "bigint"}, {"money", "boolean"}, {"payload", "bytea"},
	}, "")
	auditSheet = insertion("audit", 0, []column{{"tenant", "text"}, {"seq", "bigint"}, {"detail", "bytea"}, {"doc", "json"}}, "")

	batchSheet = []column{
		{"tenant", "text"}, {"id", "text"}, {"revision", "bigint"}, {"day", "text"}, {"planned_start", "bigint"}, {"status", "text"},
		{"menu", "text"}, {"number", "text"}, {"number_of_day", "bigint"}, {"portions", "bigint"}, {"search", "text"},
		{"next_look", "bigint"}, {"deleted_at", "bigint"}, {"doc", "json"}, {"facts", "json"},
	}

	// basedBatch has the revision besides that the change is based on.
	basedBatch = append(slices.Clone(batchSheet), column{"base", "bigint"})

	sheets = []*sheet{
		batchInserts, batchUpdates, kitchenSheet, alertSheet, entrySheet, photoSheet, listedSheet, observationSheet, noticeSheet, keySheet,
		eventSheet, auditSheet,
	}
)

type column struct{ name, typ string }

func names(columns []column) string { return prefixed("", columns) }

func prefixed(prefix string, columns []column) string {
	list := make([]string, 0, len(columns))
	for _, c := range columns {
		list = append(list, prefix+c.name)
	}
	return strings.Join(list, ", ")
}

// rowsOf stands in the statement of a sheet for its rows, as a table "new".
const rowsOf = "{rows}"

// of returns the statement of s for rows that are parameters: an array a column if there are several. One row alone is spared the
// arrays and the functions that take them apart, which are half of what it costs to write it.
func (s *sheet) of(several bool) string {
	if several {
		return strings.Replace(s.sql, rowsOf, unnested(s.columns), 1)
	}
	values := make([]string, 0, len(s.columns))
	for i, c := range s.columns {
		values = append(values, "$"+strconv.Itoa(i+1)+"::"+c.typ)
	}
	return strings.Replace(s.sql, rowsOf, "(VALUES ("+strings.Join(values, ", ")+")) AS new ("+names(s.columns)+")", 1)
}

// check returns what is an error unless s has written all of its rows: there is no other way to end a transaction in the middle of a round
// trip. SQL has no word for that; dividing by zero is the shortest sentence.
func (s *sheet) check(several bool) string {
	if several {
		return "1 / (count(*) = cardinality($1::text[]))::int"
	}
	return "1 / count(*)::int"
}

// unnested returns the rows of a sheet as a table "new": an array a column.
func unnested(columns []column) string {
	arrays := make([]string, 0, len(columns))
	for i, c := range columns {
		arrays = append(arrays, "$"+strconv.Itoa(i+1)+"::"+c.typ+"[]")
	}
	return "unnest(" + strings.Join(arrays, ", ") + ") AS new (" + names(columns) + ")"
}

func insertion(table string, key int, columns []column, conflict string) *sheet {
	return &sheet{
		name: "new_" + table,
		sql: "INSERT INTO kentongan." + table + " (" + names(columns) + ") SELECT " + names(columns) +
			" FROM " + rowsOf + conflict,
		columns: columns, key: key,
	}
}

// alone returns the statement of s for itself, for several rows.
func (s *sheet) alone() string {
	if !s.guard {
		return s.of(true)
	}
	return "WITH " + s.name + " AS (" + s.of(true) + ") SELECT " + s.check(true) + " FROM " + s.name
}

// keepBase: of several changes of a batch the last is written, on what the first is based on.
func keepBase(values, before []any) { values[len(values)-1] = before[len(before)-1] }

// keepPIN does what listedSheet says of PINs when one transaction has two rows of a person.
func keepPIN(values, before []any) {
	const pin = 4
	if values[pin] == "" {
		values[pin] = before[pin]
	}
}

func (s *sheet) keeping(succeed func(values, before []any)) *sheet {
	s.succeed = succeed
	return s
}

// row is a row for a sheet, a value a column.
type row struct {
	*sheet
	values []any
}

// queueRows queues what writes list: a statement for each sheet of which there are rows.
func queueRows(b *pgx.Batch, list []row) {
	for _, s := range sheets {
		if mine := s.rows(list); len(mine) > 0 {
			b.Queue(s.alone(), s.arrays(mine)...)
		}
	}
}

// rows returns the rows of s in list.
func (s *sheet) rows(list []row) (mine [][]any) {
	index := map[[3]any]int{} // of rows by their names
	for _, r := range list {
		if r.sheet != s {
			continue
		}
		if s.key == 0 {
			mine = append(mine, r.values)
			continue
		}
		var name [3]any
		copy(name[:], r.values[:s.key])
		i, again := index[name]
		if !again {
			index[name] = len(mine)
			mine = append(mine, r.values)
			continue
		}
		if s.succeed != nil {
			s.succeed(r.values, mine[i])
		}
		mine[i] = r.values
	}
	return mine
}

// arrays returns rows as arguments: an array a column.
func (s *sheet) arrays(mine [][]any) []any {
	args := make([]any, len(s.columns))
	for i, c := range s.columns {
		switch c.typ {
		case "text":
			args[i] = array[string](mine, i)
		case "bigint":
			args[i] = numbers(mine, i)
		case "boolean":
			args[i] = array[bool](mine, i)
		default: // bytea, json
			args[i] = array[[]byte](mine, i)
		}
	}
	return args
}

func array[T any](rows [][]any, column int) []T {
	list := make([]T, len(rows))
	for i, r := range rows {
		list[i] = r[column].(T) //nolint:errcheck // a value of another type is a mistake of ours, and panics
	}
	return list
}

// numbers returns a column of whole numbers, in which nil is null.
func numbers(rows [][]any, column int) []*int64 {
	list := make([]*int64, len(rows))
	for i, r := range rows {
		switch n := r[column].(type) {
		case *int64:
			list[i] = n
		case int64:
			list[i] = &n
		case int:
			wide := int64(n)
			list[i] = &wide
		default:
			panic(fmt.Sprintf("postgres: %T is not stored", n))
		}
	}
	return list
}
