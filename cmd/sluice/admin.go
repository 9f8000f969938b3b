package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"sluice/gateway/adminport"
	"sluice/gateway/secure"
)

// adminClient asks the administration port of a node: the one that the configuration names, or another.
type adminClient struct {
	settings
	url, tokenFile, ca, cert, key string
}

func (a *adminClient) register(cmd *cobra.Command) {
	a.settings.register(cmd)
	f := cmd.Flags()
	f.StringVar(&a.url, "admin", "", "administration port of a node, such as https://node-1:8080 (default: admin.listen of the configuration)")
	f.StringVar(&a.tokenFile, "token-file", "", "file whose first token is shown (default: admin.token_file, which SLUICE_ADMIN_TOKEN_FILE sets)")
	f.StringVar(&a.ca, "ca", "", "file with the CAs to trust, PEM (default: those of the system)")
	f.StringVar(&a.cert, "cert", "", "file with the certificate to show, PEM")
	f.StringVar(&a.key, "key", "", "file with the key of --cert, PEM")
}

// ask makes a request and gives the body of an answer that is none of a failure. What is sent is JSON; nil: nothing.
func (a *adminClient) ask(cmd *cobra.Command, method, path string, query url.Values, send any) ([]byte, error) {
	base, token, tlsConfig, err := a.target(cmd)
	if err != nil {
		return nil, err
	}
	var body io.Reader
	if send != nil {
		b, err := json.Marshal(send)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(b)
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), adminWait)
	defer cancel()
	target := base + path
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	r, err := http.NewRequestWithContext(ctx, method, target, body)
	if err != nil {
		return nil, fmt.Errorf("--admin %s: %w; write it like http://host:port", base, err)
	}
	r.Header.Set("Content-Type", "application/json")
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	transport := &http.Transport{TLSClientConfig: tlsConfig}
	defer transport.CloseIdleConnections()
	// A token is for the node that was named, not for where it sends us.
	client := &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(r)
	if err != nil {
		return nil, fmt.Errorf("the administration port does not answer: %w; --admin names another node", err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, adminAnswerMax))
	if err != nil {
		return nil, fmt.Errorf("the administration port breaks off: %w", err)
	}
	if resp.StatusCode/100 != 2 {
		return nil, refusal(resp.Status, strings.TrimSpace(string(answer)))
	}
	return answer, nil
}

// refusal is what the node says instead of doing it, in its own words where it has some.
func refusal(status, words string) error {
	if words == "" {
		words = "the node answers " + status
	}
	return errors.New(words)
}

// target says whom to ask, and what to show.
func (a *adminClient) target(cmd *cobra.Command) (base, token string, tlsConfig *tls.Config, err error) {
	base, file := strings.TrimRight(a.url, "/"), a.tokenFile
	if base != "" && !strings.HasPrefix(base, "http://") && !strings.HasPrefix(base, "https://") {
		return "", "", nil, fmt.Errorf("--admin %q: write it like http://host:8080 or https://host:8080", base)
	}
	if base == "" || file == "" {
		cfg, err := a.load(cmd)
		if err != nil && base == "" {
			return "", "", nil, fmt.Errorf("--admin is not given, and %w", err)
		}
		if err == nil {
			if base == "" {
				if base, err = ownAdmin(cfg.Admin.Listen, cfg.Admin.Cert != ""); err != nil {
					return "", "", nil, err
				}
			}
			if file == "" {
				file = cfg.Admin.TokenFile
			}
		}
	}
	if file != "" {
		tokens, err := adminport.ReadTokens("--token-file", file)
		if err != nil {
			return "", "", nil, err
		}
		token = tokens[0]
	}
	files := secure.ClientFiles{Key: "flags", CA: a.ca, Cert: a.cert, PrivateKey: a.key}
	if !files.Empty() {
		tlsConfig, err = secure.Client(files, zap.NewNop())
	}
	return base, token, tlsConfig, err
}

// ownAdmin is the URL of admin.listen, from the same machine.
func ownAdmin(listen string, secured bool) (string, error) {
	host, port, ok := cutPort(listen)
	if !ok {
		return "", errors.New("admin.listen is off; give --admin")
	}
	switch host {
	case "", "0.0.0.0":
		host = "127.0.0.1"
	case "[::]":
		host = "[::1]"
	}
	scheme := "http"
	if secured {
		scheme = "https"
	}
	return scheme + "://" + host + ":" + port, nil
}

func cutPort(address string) (host, port string, ok bool) {
	i := strings.LastIndexByte(address, ':')
	if i < 0 {
		return "", "", false
	}
	return address[:i], address[i+1:], true
}
