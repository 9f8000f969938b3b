package gateway

import (
	"fmt"
	"unicode/utf8"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// boundedLog bounds the log of a node: how many lines of one text it has, and how long what devices have written is in them. Lines for debugging are all
// there: who asks for them looks for something. Those about failures have bounds of their own (bounded).
type boundedLog struct {
	zapcore.Core
	lines *logLines
}

func newBoundedLog(log *zap.Logger, lines *logLines) *zap.Logger {
	return log.WithOptions(zap.WrapCore(func(c zapcore.Core) zapcore.Core { return boundedLog{c, lines} }))
}

// With implements zapcore.Core.
func (b boundedLog) With(fields []zapcore.Field) zapcore.Core {
	return boundedLog{b.Core.With(shortened(fields)), b.lines}
}

// Check implements zapcore.Core.
func (b boundedLog) Check(e zapcore.Entry, checked *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if !b.Enabled(e.Level) {
		return checked
	}
	if e.Level > zapcore.DebugLevel && !ofFailures[e.Message] && !b.lines.takes(e.Time, lineKind{"more lines with the same text came than are logged one by one", e.Message}, refusalLines) {
		return checked
	}
	return checked.AddCore(e, b)
}

// Write implements zapcore.Core. Which part of the core takes the line is for Check to say (zapcore.NewTee).
func (b boundedLog) Write(e zapcore.Entry, fields []zapcore.Field) error {
	if checked := b.Core.Check(e, nil); checked != nil {
		checked.Write(shortened(fields)...)
	}
	return nil
}

// ofFailures are the texts of lines that note has counted already.
var ofFailures = func() map[string]bool {
	texts := make(map[string]bool, len(logTexts))
	for _, text := range logTexts {
		texts[text] = true
	}
	return texts
}()

// shortened are fields without what is too long in them. A stack is written by nobody else, and stays.
func shortened(fields []zapcore.Field) []zapcore.Field {
	var out []zapcore.Field // nil: as they are, which they nearly always are
	for i, f := range fields {
		text := ""
		switch f.Type {
		case zapcore.StringType:
			text = f.String
		case zapcore.ErrorType:
			text = f.Interface.(error).Error()
		}
		if len(text) <= fieldMax {
			continue
		}
		if out == nil {
			out = append(out, fields...)
		}
		out[i] = zap.String(f.Key, short(text))
	}
	if out == nil {
		return fields
	}
	return out
}

// short is the beginning of a text, and how long it is.
func short(text string) string {
	n := fieldMax
	for n > 0 && !utf8.RuneStart(text[n]) {
		n--
	}
	return fmt.Sprintf("%s... (%d bytes)", text[:n], len(text))
}
