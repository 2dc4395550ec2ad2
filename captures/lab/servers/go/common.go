// What the Go servers share: their configuration, their log, and invented facts.
// As captures/lab/servers/python/common.py.
package main

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"
)

// Config is what the scenario says of its server.
type Config struct {
	Port  int            `json:"port"`
	Log   string         `json:"log"`
	CPUs  int            `json:"cpus"` // as a container's limit
	Slow  map[string]int `json:"slow"`
	Fault struct {
		Name    string   `json:"name"`
		On      []string `json:"on"`
		After   int      `json:"after"`
		Inherit bool     `json:"inherit"`
	} `json:"fault"`
}

var (
	config  Config
	logFile *os.File
	logLock sync.Mutex
)

func setUp() {
	if err := json.Unmarshal([]byte(os.Getenv("WF_SERVER")), &config); err != nil {
		panic(err)
	}
	file, err := os.OpenFile(config.Log, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		panic(err)
	}
	logFile = file
}

func now() float64 { return float64(time.Now().UnixNano()) / 1e9 }

func writeLog(row map[string]any) {
	line, _ := json.Marshal(row)
	logLock.Lock()
	defer logLock.Unlock()
	logFile.Write(append(line, '\n'))
}

// asked is the request that a response is made for: what the log tells of it.
type asked struct {
	method, target, peer string
	about, who           any
	received             float64
}

func short(empty bool, text string) any {
	if empty {
		return nil
	}
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])[:12]
}

func askedBy(r *http.Request, body []byte) asked {
	id, token, cookie := r.Header.Get("X-Request-Id"), r.Header.Get("Authorization"), r.Header.Get("Cookie")
	return asked{
		method: r.Method, target: r.RequestURI, peer: r.RemoteAddr, received: now(),
		about: short(id == "" && len(body) == 0, id+"\n"+string(body)),
		who:   short(token == "" && cookie == "", token+"\n"+cookie),
	}
}

// logAnswer tells which bytes were made for which request.
func logAnswer(a asked, status int, sent []byte) {
	if a.method == "HEAD" || status == 204 || status == 304 {
		sent = nil
	}
	sum := sha256.Sum256(sent)
	writeLog(map[string]any{
		"peer": a.peer, "method": a.method, "target": a.target, "about": a.about, "who": a.who,
		"received": a.received, "written": now(), "status": status, "length": len(sent),
		"sha256": hex.EncodeToString(sum[:]),
	})
}

// matches tells whether `GET /x` is meant by a pattern; a final `*` stands for anything.
func matches(pattern, name string) bool {
	return pattern == name || strings.HasSuffix(pattern, "*") && strings.HasPrefix(name, pattern[:len(pattern)-1])
}

func chosen(name string) bool {
	for _, pattern := range config.Fault.On {
		if matches(pattern, name) {
			return true
		}
	}
	return false
}

// slowness is how long a request takes, by the scenario.
func slowness(name string) time.Duration {
	for pattern, milliseconds := range config.Slow {
		if matches(pattern, name) {
			return time.Duration(milliseconds) * time.Millisecond
		}
	}
	return 0
}

// number is a stable number below a limit: the same key always gives the same, as a database would.
func number(key string, limit int) int {
	sum := md5.Sum([]byte(key))
	return int(binary.BigEndian.Uint32(sum[:4]) % uint32(limit))
}

func pick(key string, choices ...string) string { return choices[number(key, len(choices))] }

func code(key string, length int) string {
	sum := sha1.Sum([]byte(key))
	return hex.EncodeToString(sum[:])[:length]
}
