// Go's net/http: a Transport per worker, kept alive or not. It carries out a plan as the other clients do.
package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"
)

type step struct {
	ID      string            `json:"id"`
	Mark    *string           `json:"mark"`
	Method  string            `json:"method"`
	Target  string            `json:"target"`
	Headers map[string]string `json:"headers"`
	Body    *string           `json:"body"`
	At      *float64          `json:"at"`
	Pause   float64           `json:"pause"`
	Timeout float64           `json:"timeout"`
	Retry   int               `json:"retry"`
	Close   bool              `json:"close"`
}

type worker struct {
	Keep  bool   `json:"keep"`
	Steps []step `json:"steps"`
}

type plan struct {
	To      [2]any   `json:"to"`
	Start   float64  `json:"start"`
	Log     string   `json:"log"`
	Workers []worker `json:"workers"`
}

func now() float64 { return float64(time.Now().UnixNano()) / 1e9 }

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// short is a hash as captures/lab/asked.py makes it, or nil when there is nothing to tell.
func short(empty bool, text string) any {
	if empty {
		return nil
	}
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])[:12]
}

func header(s step, name string) string {
	for key, value := range s.Headers {
		if strings.EqualFold(key, name) {
			return value
		}
	}
	return ""
}

// outcome names how a request ended that was not answered.
func outcome(err error) string {
	switch {
	case errors.Is(err, context.DeadlineExceeded) || os.IsTimeout(err):
		return "timeout"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "refused"
	case errors.Is(err, syscall.ECONNRESET):
		return "reset"
	case strings.Contains(err.Error(), "EOF"):
		return "closed"
	}
	return "unreadable"
}

func exchange(client *http.Client, base string, s step, keep bool) map[string]any {
	body := ""
	if s.Body != nil {
		body = *s.Body
	}
	id, token, cookie := header(s, "x-request-id"), header(s, "authorization"), header(s, "cookie")
	row := map[string]any{
		"id": s.ID, "mark": s.Mark, "client": "unconnected", "method": s.Method, "target": s.Target,
		"about": short(id == "" && body == "", id+"\n"+body),
		"who":   short(token == "" && cookie == "", token+"\n"+cookie),
		"sent":  now(), "began": false,
	}
	ctx, cancel := context.WithTimeout(context.Background(), seconds(s.Timeout))
	defer cancel()
	trace := &httptrace.ClientTrace{GotConn: func(got httptrace.GotConnInfo) {
		row["client"] = got.Conn.LocalAddr().String()
		row["sent"] = now()
	}}
	request, err := http.NewRequestWithContext(httptrace.WithClientTrace(ctx, trace), s.Method, base+s.Target, bytes.NewReader([]byte(body)))
	if err != nil {
		panic(err)
	}
	for key, value := range s.Headers {
		request.Header.Set(key, value)
	}
	request.Close = !keep
	response, err := client.Do(request)
	if err == nil {
		row["began"] = true
		var got []byte
		got, err = io.ReadAll(response.Body)
		response.Body.Close()
		if err == nil {
			sum := sha256.Sum256(got)
			row["outcome"], row["status"], row["length"] = "answered", response.StatusCode, len(got)
			row["sha256"] = hex.EncodeToString(sum[:])
		}
	}
	if err != nil {
		row["outcome"] = outcome(err)
	}
	row["ended"] = now()
	return row
}

func main() {
	var p plan
	text, err := os.ReadFile(os.Args[1])
	if err != nil {
		panic(err)
	}
	if err := json.Unmarshal(text, &p); err != nil {
		panic(err)
	}
	log, err := os.OpenFile(p.Log, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		panic(err)
	}
	port, _ := json.Marshal(p.To[1])
	base := "http://" + p.To[0].(string) + ":" + string(port)
	var lock sync.Mutex
	var all sync.WaitGroup
	for _, one := range p.Workers {
		all.Add(1)
		go func(w worker) {
			defer all.Done()
			client := &http.Client{
				Transport:     &http.Transport{DisableCompression: true, MaxConnsPerHost: 1},
				CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
			}
			for _, s := range w.Steps {
				if s.At != nil {
					time.Sleep(seconds(p.Start + *s.At - now()))
				} else {
					time.Sleep(seconds(s.Pause))
				}
				for attempt := 0; attempt <= s.Retry; attempt++ {
					row := exchange(client, base, s, w.Keep && !s.Close)
					if attempt > 0 {
						row["attempt"] = attempt + 1
					}
					line, _ := json.Marshal(row)
					lock.Lock()
					log.Write(append(line, '\n'))
					lock.Unlock()
					if row["outcome"] == "answered" {
						break
					}
				}
			}
			client.CloseIdleConnections()
		}(one)
	}
	all.Wait()
}
