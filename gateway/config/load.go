package config

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/spf13/viper"
)

// envPrefix begins the environment variable of every key.
const envPrefix = "SLUICE"

// Source is where a configuration comes from.
type Source struct {
	File string   // empty: none
	Set  []string // key=value, as given to --set
	Env  []string // as os.Environ
}

// Load reads and checks a configuration. The error names every fault. Warnings are for what is odd and harmless, such as an environment
// variable that looks like a key and is none.
func Load(src Source) (c *Config, warnings []string, err error) {
	c = &Config{}
	table := keys(c)
	v := viper.NewWithOptions(viper.KeyDelimiter("."))
	for _, k := range table {
		v.SetDefault(k.name, k.value)
	}
	faults := readFile(v, src.File, table)
	warnings = applyEnv(v, src.Env, table)
	faults = append(faults, applySet(v, src.Set, table)...)
	faults = append(faults, c.readRules(src.File)...)
	for _, k := range table {
		value := v.Get(k.name)
		if err := k.set(value); err != nil {
			faults = append(faults, fmt.Sprintf("%s: %q %v", k.name, redact(value), err))
		}
	}
	wrong, odd := c.chooseDialect()
	faults, warnings = append(faults, wrong...), append(warnings, odd...)
	if len(faults) == 0 {
		c.inheritProfiles()
		faults = c.crossChecks()
		c.settleAccess()
		wrong, odd := c.settleAzure()
		faults, warnings = append(faults, wrong...), append(warnings, odd...)
	}
	if len(faults) > 0 {
		return nil, warnings, errors.New(strings.Join(faults, "\n"))
	}
	if c.NodeID == "" {
		c.NodeID = newNodeID()
	}
	return c, warnings, nil
}

func readFile(v *viper.Viper, file string, table []key) (faults []string) {
	if file == "" {
		return nil
	}
	content := viper.NewWithOptions(viper.KeyDelimiter("."))
	content.SetConfigFile(file)
	content.SetConfigType("yaml")
	if err := content.ReadInConfig(); err != nil {
		return []string{fmt.Sprintf("--config: cannot read %s: %v", file, err)}
	}
	values := content.AllSettings()
	for _, name := range content.AllKeys() {
		switch below := keyBelow(table, name); {
		case below != "" && content.Get(name) != nil: // nothing at all is a section that has been emptied
			faults = append(faults, fmt.Sprintf("%s: in %s a value stands where keys belong; write them below it, indented, such as %s", name, file, below))
			remove(values, strings.Split(name, "."))
		case below == "" && !known(table, name) && !isRules(name):
			faults = append(faults, unknown(table, name, "in "+file))
		}
	}
	delete(values, rulesKey) // see readRules
	if err := v.MergeConfigMap(values); err != nil {
		faults = append(faults, fmt.Sprintf("--config: %s: %v", file, err))
	}
	slices.Sort(faults)
	return faults
}

// applyEnv takes SLUICE_ variables that name a key. Others are only warned of: platforms set variables of their own making, such
// as SLUICE_SERVICE_HOST for a service called sluice.
func applyEnv(v *viper.Viper, environ []string, table []key) (warnings []string) {
	for _, e := range environ {
		name, value, _ := strings.Cut(e, "=")
		if !strings.HasPrefix(name, envPrefix+"_") || strings.HasPrefix(name, envPrefix+"_TEST_") || name == envPrefix+"_CACHE" {
			continue
		}
		if name == envName(rulesKey) {
			warnings = append(warnings, "environment variable "+name+" is not used: rules are a list and are set in the file (--config) only")
			continue
		}
		i := slices.IndexFunc(table, func(k key) bool { return envName(k.name) == name })
		if i < 0 {
			warnings = append(warnings, "environment variable "+name+" names no configuration key and is not used")
			continue
		}
		v.Set(table[i].name, value)
	}
	slices.Sort(warnings)
	return warnings
}

func applySet(v *viper.Viper, set []string, table []key) (faults []string) {
	for _, s := range set {
		name, value, ok := strings.Cut(s, "=")
		switch {
		case !ok:
			faults = append(faults, fmt.Sprintf("--set %q: there is no =; write --set key=value", s))
		case isRules(name):
			faults = append(faults, name+": rules are a list and cannot be set by --set; write them into the file (--config)")
		case !known(table, name):
			faults = append(faults, unknown(table, name, "in --set"))
		default:
			v.Set(name, value)
		}
	}
	return faults
}

func envName(key string) string {
	return envPrefix + "_" + strings.ToUpper(strings.ReplaceAll(key, ".", "_"))
}

func known(table []key, name string) bool {
	return slices.ContainsFunc(table, func(k key) bool { return k.name == name })
}

// keyBelow is a key of the section of this name; empty: there is no such section.
func keyBelow(table []key, name string) string {
	for _, k := range table {
		if strings.HasPrefix(k.name, name+".") {
			return k.name
		}
	}
	return ""
}

// remove takes a value out of nested maps.
func remove(values map[string]any, path []string) {
	for len(path) > 1 {
		below, ok := values[path[0]].(map[string]any)
		if !ok {
			return
		}
		values, path = below, path[1:]
	}
	delete(values, path[0])
}

// unknown names an unknown key and the known one that is most like it.
func unknown(table []key, name, where string) string {
	best, least := "", len(name)/2+1
	for _, k := range table {
		if d := editDistance(name, k.name); d < least {
			best, least = k.name, d
		}
	}
	if best != "" {
		return fmt.Sprintf("%s: unknown key %s; did you mean %s?", name, where, best)
	}
	return fmt.Sprintf("%s: unknown key %s; sluice serve --help lists the keys", name, where)
}

// editDistance is the Levenshtein distance.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// redact keeps passwords out of messages.
func redact(v any) string {
	s := fmt.Sprint(v)
	if !strings.Contains(s, "://") {
		return s
	}
	parts := strings.Split(s, ",")
	for i, p := range parts {
		if u, err := url.Parse(strings.TrimSpace(p)); err == nil {
			parts[i] = u.Redacted()
		} else {
			parts[i] = "(not shown)"
		}
	}
	return strings.Join(parts, ",")
}

func newNodeID() string {
	host, err := os.Hostname()
	if err != nil || host == "" {
		host = "sluice"
	}
	var b [4]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return host + "-" + hex.EncodeToString(b[:])
}
