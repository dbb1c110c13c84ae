// One HTTPS request, as any Java program makes it: Ask HttpClient|HttpsURLConnection URL. Prints the body of a 200.

import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import javax.net.ssl.HttpsURLConnection;

class Ask {
    public static void main(String[] arguments) throws Exception {
        var url = URI.create(arguments[1]);
        System.out.println(arguments[0].equals("HttpClient") ? withHttpClient(url) : withUrlConnection(url));
    }

    static String withHttpClient(URI url) throws IOException, InterruptedException {
        var request = HttpRequest.newBuilder(url).header("Stage-Control", "read").build();
        var response = HttpClient.newHttpClient().send(request, BodyHandlers.ofString());
        if (response.statusCode() != 200) {
            throw new IOException("status " + response.statusCode() + ": " + response.body());
        }
        return response.body();
    }

    // Throws by itself where the status is not 200.
    static String withUrlConnection(URI url) throws IOException {
        var connection = (HttpsURLConnection) url.toURL().openConnection();
        connection.setRequestProperty("Stage-Control", "read");
        try (var body = connection.getInputStream()) {
            return new String(body.readAllBytes(), StandardCharsets.UTF_8);
        }
    }
}
