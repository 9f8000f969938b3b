package main

import (
	"io"
	"net"
	"os"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"golang.org/x/term"

	"sluice/gateway/config"
)

// defaultEmbedded is where the embedded bus listens by default; commands that use it need no flag then.
const defaultEmbedded = "127.0.0.1:5672"

// newLogger makes the logger: readable lines on a terminal, JSON elsewhere, unless log.format says which.
func newLogger(cfg *config.Config, out io.Writer) (*zap.Logger, error) {
	level, err := zapcore.ParseLevel(cfg.LogLevel)
	if err != nil {
		return nil, err
	}
	encoding := zap.NewProductionEncoderConfig()
	encoding.EncodeTime = zapcore.RFC3339NanoTimeEncoder
	encoding.EncodeDuration = zapcore.StringDurationEncoder
	encoder := zapcore.NewJSONEncoder(encoding)
	if cfg.LogFormat == "console" || cfg.LogFormat == "auto" && isTerminal(out) {
		encoding.EncodeTime = zapcore.TimeEncoderOfLayout("15:04:05.000")
		encoding.EncodeLevel = zapcore.CapitalLevelEncoder
		encoder = zapcore.NewConsoleEncoder(encoding)
	}
	return zap.New(zapcore.NewCore(encoder, zapcore.Lock(zapcore.AddSync(out)), level)), nil
}

func isTerminal(out io.Writer) bool {
	f, ok := out.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

func port(address string) string {
	_, p, _ := net.SplitHostPort(address)
	return p
}
