// A podcast directory: slugs for names, snake_case, plain objects, arrays at the top, WebVTT, ETags.
package main

import (
	"fmt"
	"strings"
)

var topics = []string{"history", "gardening", "chess", "weather", "cooking", "railways"}

func title(slug string) string {
	words := strings.Split(slug, "-")
	for n, word := range words {
		if word != "" {
			words[n] = strings.ToUpper(word[:1]) + word[1:]
		}
	}
	return strings.Join(words, " ")
}

// canonical is the slug that a show goes by now; old ones still lead to it.
func canonical(slug string) string { return strings.TrimPrefix(slug, "the-") }

func show(slug string) map[string]any {
	key := "show" + slug
	hosts := []string{}
	for n := 0; n <= number(key+"h", 3); n++ {
		hosts = append(hosts, pick(fmt.Sprint(key, n), "M. Oduya", "T. Calloway", "R. Ibarra", "J. Lindqvist", "A. Park"))
	}
	made := map[string]any{
		"slug": slug, "title": title(slug), "hosts": hosts, "language": pick(key+"l", "en", "en", "de", "es"),
		"topic": pick(key+"t", topics...), "episode_count": 4 + number(key+"e", 180),
		"feed_url": "https://feeds.pods.example/" + slug + ".rss",
	}
	if number(key+"a", 3) > 0 { // artwork is left out, not null, where there is none
		made["artwork"] = map[string]any{"square": "/img/" + code(key, 10) + ".png", "px": 600 * (1 + number(key, 3))}
	}
	return made
}

func episode(slug string, n int) map[string]any {
	key := fmt.Sprint("episode", slug, n)
	chapters := []any{}
	at := 0
	for c := 0; c < 2+number(key+"c", 5); c++ {
		chapters = append(chapters, map[string]any{"starts_at_s": at, "title": pick(fmt.Sprint(key, c), "Letters", "The long part", "A guest", "Credits", "News")})
		at += 60 + number(fmt.Sprint(key, "s", c), 700)
	}
	made := map[string]any{
		"number": n, "title": pick(key, "A quiet year", "Signals", "The north line", "Seed stock", "Endgames"),
		"duration_s": at + 240, "published_on": fmt.Sprintf("2026-%02d-%02d", 1+number(key+"m", 11), 1+number(key+"d", 28)),
		"chapters": chapters, "explicit": number(key+"x", 9) == 0,
	}
	if number(key+"g", 2) == 0 {
		made["guests"] = []string{pick(key+"g", "S. Farouk", "L. Moreau", "K. Tanaka")}
	} else {
		made["guests"] = nil
	}
	return made
}

func episodes(slug string) []any {
	found := []any{}
	if number("none"+slug, 7) == 0 {
		return found
	}
	for n := 1; n <= 4; n++ {
		e := episode(slug, n)
		found = append(found, map[string]any{"number": n, "title": e["title"], "duration_s": e["duration_s"]})
	}
	return found
}

func listing(topic, cursor string) map[string]any {
	items := []any{}
	for n := 0; n < 5; n++ {
		slug := slugOf(number(fmt.Sprint(topic, cursor, n), 400))
		items = append(items, map[string]any{"slug": slug, "title": title(slug)})
	}
	return map[string]any{"items": items, "next": code(topic+cursor, 8)}
}

// slugOf is a show by its number; captures/lab/services.py has the same words.
func slugOf(n int) string {
	return []string{"north", "paper", "slow", "iron", "open", "salt", "blue", "late", "river", "winter"}[n%10] + "-" +
		[]string{"line", "garden", "gambit", "kitchen", "ledger", "signal", "window", "field"}[n/10%8] + "-" + fmt.Sprint(1+n/80)
}

// transcript writes an episode's words, cue by cue.
func transcript(write func(string), slug string, n int) {
	key := fmt.Sprint("words", slug, n)
	write(fmt.Sprintf("WEBVTT - %s, episode %d\n\n", title(slug), n))
	for c := 0; c < 8+number(key, 14); c++ {
		write(fmt.Sprintf("%02d:%02d.000 --> %02d:%02d.500\n%s %s %s.\n\n", c/6, c*10%60, c/6, c*10%60+9,
			pick(fmt.Sprint(key, c), "We left", "They found", "Nobody wanted", "It was"),
			pick(fmt.Sprint(key, "o", c), "the station", "an old seed drill", "the bishop pair", "four hundred letters"),
			pick(fmt.Sprint(key, "w", c), "in the rain", "before the war", "by accident", "the same evening")))
	}
}

func chart(country string) map[string]any {
	ranks := []any{}
	for n := 1; n <= 8; n++ {
		entry := map[string]any{"rank": n, "slug": slugOf(number(fmt.Sprint(country, n), 400)), "delta": nil}
		if number(fmt.Sprint(country, "d", n), 4) > 0 {
			entry["delta"] = number(fmt.Sprint(country, "e", n), 9) - 4
		}
		ranks = append(ranks, entry)
	}
	return map[string]any{"country": country, "ranks": ranks}
}
