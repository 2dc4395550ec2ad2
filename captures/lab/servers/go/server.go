// The podcast directory on Go's net/http.
//
// Faults, each a mistake that is made in this language:
// `borrowed-descriptor` wraps the number of the chosen request's connection in an os.File and forgets it; the
// collector's finalizer then closes a number that the file never owned.
// `pooled-twice` gives a sheet of a sync.Pool back twice when an episode was withdrawn; the next two transcripts
// are written on one sheet.
package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"
)

type connKey struct{}

// sheet is what a transcript is written on; there is a pool of them.
type sheet struct {
	text bytes.Buffer
	made asked
}

var sheets = sync.Pool{New: func() any { return &sheet{} }}

// flight is one computation of a chart that all who ask for it meanwhile share.
type flight struct {
	done chan struct{}
	body []byte
}

var (
	flights     = map[string]*flight{}
	flightsLock sync.Mutex
)

// send writes a whole body, gzipped where the client takes that, and with an ETag where it has one.
func send(w http.ResponseWriter, r *http.Request, a asked, status int, kind string, body []byte) {
	w.Header().Set("Content-Type", kind)
	if r.Method == "GET" && status == 200 && strings.HasPrefix(kind, "application/json") {
		tag := `"` + code(string(body), 16) + `"`
		w.Header().Set("ETag", tag)
		if r.Header.Get("If-None-Match") == tag {
			w.WriteHeader(304)
			logAnswer(a, 304, nil)
			return
		}
	}
	if len(body) > 300 && strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		var packed bytes.Buffer
		zip := gzip.NewWriter(&packed)
		zip.Write(body)
		zip.Close()
		body = packed.Bytes()
		w.Header().Set("Content-Encoding", "gzip")
		w.Header().Set("Vary", "Accept-Encoding")
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	logAnswer(a, status, body)
	w.Write(body)
}

func sendJSON(w http.ResponseWriter, r *http.Request, a asked, status int, made any) {
	body, _ := json.Marshal(made)
	send(w, r, a, status, "application/json", body)
}

func sharedChart(country string) []byte {
	flightsLock.Lock()
	if under := flights[country]; under != nil {
		flightsLock.Unlock()
		<-under.done
		return under.body
	}
	mine := &flight{done: make(chan struct{})}
	flights[country] = mine
	flightsLock.Unlock()
	time.Sleep(slowness("chart " + country))
	made := chart(country)
	made["as_of"] = time.Now().UTC().Format(time.RFC3339Nano)
	mine.body, _ = json.Marshal(made)
	flightsLock.Lock()
	delete(flights, country)
	flightsLock.Unlock()
	close(mine.done)
	return mine.body
}

// sendTranscript writes on a sheet of the pool, in pieces as the cues are looked up.
func sendTranscript(w http.ResponseWriter, a asked, slug string, n int, wait time.Duration) {
	page := sheets.Get().(*sheet)
	defer sheets.Put(page)
	if n > 900 {
		if config.Fault.Name == "pooled-twice" { // the mistake: the deferred one gives it back again
			sheets.Put(page)
			writeLog(map[string]any{"fault": "pooled-twice", "request": a.method + " " + a.target, "at": now()})
		}
		body := []byte("withdrawn by its makers\n")
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.WriteHeader(410)
		logAnswer(a, 410, body)
		w.Write(body)
		return
	}
	page.text.Reset()
	page.made = a
	transcript(func(s string) { page.text.WriteString(s) }, slug, n)
	time.Sleep(wait)
	body := append([]byte{}, page.text.Bytes()...)
	w.Header().Set("Content-Type", "text/vtt")
	logAnswer(page.made, 200, body)
	for at := 0; at < len(body); at += 256 { // flushed by parts, hence chunked
		end := at + 256
		if end > len(body) {
			end = len(body)
		}
		w.Write(body[at:end])
		w.(http.Flusher).Flush()
	}
}

// tune is the mistake of `borrowed-descriptor`: an os.File that owns what it only borrowed.
func tune(r *http.Request) {
	conn := r.Context().Value(connKey{}).(*net.TCPConn)
	raw, err := conn.SyscallConn()
	if err != nil {
		return
	}
	raw.Control(func(fd uintptr) {
		file := os.NewFile(fd, "client")
		if config.Fault.Inherit {
			child := exec.Command("sleep", "30")
			child.ExtraFiles = []*os.File{file}
			child.Start()
		}
		writeLog(map[string]any{"fault": "borrowed-descriptor", "descriptor": int(fd), "at": now()})
	})
	time.AfterFunc(time.Duration(config.Fault.After)*time.Millisecond, runtime.GC)
}

func handle(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	a := askedBy(r, body)
	name := r.Method + " " + r.RequestURI
	if config.Fault.Name == "borrowed-descriptor" && chosen(name) {
		tune(r)
	}
	wait := slowness(name)
	at := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	if len(at) == 5 && at[4] == "transcript" {
		n, _ := strconv.Atoi(at[3])
		sendTranscript(w, a, at[1], n, wait)
		return
	}
	time.Sleep(wait)
	slug := ""
	if len(at) > 1 {
		slug = canonical(at[1])
	}
	missing := func() {
		sendJSON(w, r, a, 404, map[string]any{"error": "unknown_show", "slug": slug})
	}
	switch {
	case r.URL.Path == "/healthz":
		send(w, r, a, 200, "text/plain", []byte("ok\n"))
	case at[0] == "shows" && len(at) == 1:
		found := listing(r.URL.Query().Get("topic"), r.URL.Query().Get("cursor"))
		w.Header().Set("Link", fmt.Sprintf(`</shows?cursor=%s>; rel="next"`, found["next"]))
		sendJSON(w, r, a, 200, found)
	case at[0] == "shows" && strings.HasPrefix(slug, "no-"):
		missing()
	case at[0] == "shows" && len(at) == 2:
		sendJSON(w, r, a, 200, show(slug))
	case at[0] == "shows" && len(at) == 3 && at[2] == "episodes":
		sendJSON(w, r, a, 200, episodes(slug))
	case at[0] == "shows" && len(at) == 4:
		n, _ := strconv.Atoi(at[3])
		sendJSON(w, r, a, 200, episode(slug, n))
	case at[0] == "charts" && len(at) == 2:
		send(w, r, a, 200, "application/json", sharedChart(at[1]))
	case at[0] == "me" && r.Header.Get("Authorization") == "":
		w.Header().Set("WWW-Authenticate", "Bearer")
		sendJSON(w, r, a, 401, map[string]any{"error": "token_required"})
	case r.URL.Path == "/me/queue" && r.Method == "PUT":
		w.WriteHeader(204)
		logAnswer(a, 204, nil)
	case r.URL.Path == "/me/queue":
		queue := []any{}
		key := r.Header.Get("Authorization")
		for n := 0; n < number(key, 5); n++ {
			queue = append(queue, map[string]any{"show": slugOf(number(fmt.Sprint(key, n), 400)), "episode": 1 + n, "position_s": number(fmt.Sprint(key, "p", n), 3000)})
		}
		sendJSON(w, r, a, 200, map[string]any{"listener": code(key, 8), "queue": queue})
	default:
		missing()
	}
}

func main() {
	setUp()
	if config.CPUs > 0 {
		runtime.GOMAXPROCS(config.CPUs)
	}
	listener, err := net.Listen("tcp4", fmt.Sprintf("0.0.0.0:%d", config.Port))
	if err != nil {
		panic(err)
	}
	server := &http.Server{
		Handler:     http.HandlerFunc(handle),
		ConnContext: func(ctx context.Context, c net.Conn) context.Context { return context.WithValue(ctx, connKey{}, c) },
	}
	fmt.Println("ready:", runtime.Version())
	panic(server.Serve(listener))
}
